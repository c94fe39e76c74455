"""Data shown in the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED
from crossaisle.api_types.lists import RecommendedList
from crossaisle.api_types.users import KeptEvent


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console's data."""

    events: tuple[KeptEvent, ...]
    load: dict[str, Any]
    gauges: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CategoryLinks:
    """Which categories the same users have recently shopped in."""

    __pydantic_config__ = DESCRIBED
    names: tuple[str, ...]
    users: tuple[float, ...]
    """Users with an item of each category; a user's weight halves with every half-life that has passed."""
    lift: tuple[tuple[float, ...], ...]
    """How many times as often as by chance a user shops in both categories; 1 = no link."""


@dataclass(frozen=True, kw_only=True)
class ListTotals:
    """What followed from the lists of one day, placement and arm."""

    __pydantic_config__ = DESCRIBED
    day: int
    """Days since 1970 (UTC)."""
    placement: str
    experiment: str
    """"" outside experiments."""
    arm: str
    """"" outside experiments, and for interleaved lists."""
    lists: float
    """Lists shown."""
    clicks: float
    """Views of an item of a list, at most one per list and item."""
    carts: float
    purchases: float
    revenue: float
    """Revenue of these purchases: value, or else price, times quantity."""


@dataclass(frozen=True, kw_only=True)
class EventTotals:
    """All events of one role on one day."""

    __pydantic_config__ = DESCRIBED
    day: int
    role: str
    events: int
    value: float
    """Sum of value times quantity."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What followed from recommendations, and all events."""

    __pydantic_config__ = DESCRIBED
    window_hours: float
    """An event is attributed to the latest list that showed its item to its user, if that was within this
    many hours."""
    currency: str
    today: int
    lists: tuple[ListTotals, ...]
    events: tuple[EventTotals, ...]


@dataclass(frozen=True, kw_only=True)
class ShownProducts:
    """Which products a set of lists showed."""

    __pydantic_config__ = DESCRIBED
    places: int
    """Number of places in lists, counting a product each time it was shown."""
    tail_places: int
    """Number of these places with products outside the best sellers."""
    products: int
    """Number of distinct products shown."""
    share: float
    """Share of the catalogue that was shown, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ShownByPlacement(ShownProducts):
    """Which products the lists of a placement showed."""

    __pydantic_config__ = DESCRIBED
    placement: str


@dataclass(frozen=True, kw_only=True)
class CoverageOfLists:
    """How much of the catalogue the lists showed."""

    __pydantic_config__ = DESCRIBED
    days: int
    products: int
    """Number of products in the catalogue now."""
    best_sellers: int
    """Number of best sellers: the fewest products with half of the model's events. All others are the long
    tail."""
    lists: ShownProducts
    """All placements combined."""
    placements: tuple[ShownByPlacement, ...]


@dataclass(frozen=True, kw_only=True)
class PastItem:
    """An item that a visitor interacted with."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    title: str
    category: str
    time: float | None
    """Time of the newest event, in seconds since 1970; null if only the order is known."""
    times: int
    roles: tuple[str, ...]
    """Roles of the visitor's events with it, newest first."""


@dataclass(frozen=True, kw_only=True)
class InterestPoint:
    """One interest in a visitor's history."""

    __pydantic_config__ = DESCRIBED
    label: str
    """A category, and words that distinguish this interest."""
    share: float
    """Share of the history, 0 to 1; newer events count more."""
    typical: tuple[str, ...]
    """Titles of typical items."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A visitor's recent activity, and the list they get."""

    __pydantic_config__ = DESCRIBED
    user: str
    known: bool
    past: tuple[PastItem, ...]
    interests: tuple[InterestPoint, ...]
    """Largest first; empty for visitors without a history, and in shops with more than 200,000 items."""
    list: RecommendedList
