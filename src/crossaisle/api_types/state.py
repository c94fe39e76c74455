"""Health, models, the audit log, errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class HostModel:
    """What one process serves, where services of several hosts serve a shop."""

    name: str
    model: str
    version: str
    """The same wherever the same files are served."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The served model, the previous one, and those that can be activated."""

    active: str
    previous: str
    known: tuple[str, ...]
    describes: dict[str, Any]
    hosts: tuple[HostModel, ...] = ()
    """Every process that serves the shop, where its store is in PostgreSQL."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the process answers, and with which model."""

    status: str
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Who did what."""

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
    """Each broken rule, where there are several."""
