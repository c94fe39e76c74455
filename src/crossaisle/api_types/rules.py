"""A merchandiser's rules."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.api_types.described import DESCRIBED
from crossaisle.data.merchandising.rules import State


@dataclass(frozen=True, kw_only=True)
class StoredRule:
    """A merchandiser's rule, and what it currently matches."""

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
    """`holds` today (UTC), starts `later`, or is `over`."""
    matches: int
    """Number of items that `items` matches."""
    examples: tuple[str, ...]
    """Titles of some matching items."""
    notices: tuple[str, ...]
    """Names in the rule that match nothing."""


@dataclass(frozen=True, kw_only=True)
class RulesInForce:
    """The merchandiser's rules that are applied to lists."""

    __pydantic_config__ = DESCRIBED
    source: str
    """`shop`: rules stored in this service. `model`: rules saved with the model."""
    rules: tuple[StoredRule, ...]
