"""A merchandiser's rules."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.api_types.described import DESCRIBED
from crossaisle.data.merchandising.rules import State


@dataclass(frozen=True, kw_only=True)
class StoredRule:
    """A merchandiser's rule, and what it matches now."""

    __pydantic_config__ = DESCRIBED
    id: str
    action: str
    items: tuple[str, ...]
    beside: tuple[str, ...]
    direction: str
    position: int | None
    weight: float | None
    placements: tuple[str, ...]
    since: str | None
    until: str | None
    reason: str
    state: State
    """`holds` today (UTC), begins `later`, or is `over`."""
    matches: int
    """Number of items that `items` matches."""
    examples: tuple[str, ...]
    """Titles of some of them."""
    notices: tuple[str, ...]
    """Names that match nothing."""


@dataclass(frozen=True, kw_only=True)
class RulesInForce:
    """The merchandiser's rules that lists obey."""

    __pydantic_config__ = DESCRIBED
    source: str
    """`shop`: they were put into this service. `model`: they were saved with the model."""
    rules: tuple[StoredRule, ...]
