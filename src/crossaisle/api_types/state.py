"""Health, models, the audit log and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class HostModel:
    """What one process serves, if a shop is served from several hosts."""

    name: str
    model: str
    version: str
    """Equal wherever the same model files are served."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The served model, the previous one, and those that can be activated."""

    active: str
    previous: str
    known: tuple[str, ...]
    describes: dict[str, Any]
    hosts: tuple[HostModel, ...] = ()
    """Every process that serves the shop, if its store is in PostgreSQL."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the process answers, and with which model."""

    status: str
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """One entry of the audit log: who did what."""

    time: float
    who: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error (RFC 9457)."""

    __pydantic_config__ = DESCRIBED
    title: str
    status: int
    detail: str
    """What is wrong, where, and which rule."""
    type: str = "about:blank"
    errors: tuple[dict[str, str], ...] = field(default_factory=tuple)
    """All violated rules, if there are several."""
