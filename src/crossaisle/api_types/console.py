"""What the console shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED
from crossaisle.api_types.lists import RecommendedList
from crossaisle.api_types.users import KeptEvent


@dataclass(frozen=True, kw_only=True)
class Console:
    """The data of the console."""

    events: tuple[KeptEvent, ...]
    load: dict[str, Any]
    gauges: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CategoryLinks:
    """Which categories users have shopped together recently."""

    __pydantic_config__ = DESCRIBED
    names: tuple[str, ...]
    users: tuple[float, ...]
    """Users with an item of each category; a user's weight halves with every half-life since."""
    lift: tuple[tuple[float, ...], ...]
    """How many times as often as by chance one user shops both categories; 1 = no link."""


@dataclass(frozen=True, kw_only=True)
class ListTotals:
    """What the lists of one day, placement and arm led to."""

    __pydantic_config__ = DESCRIBED
    day: int
    """Since 1970 (UTC)."""
    placement: str
    experiment: str
    """"" outside experiments."""
    arm: str
    """"" outside experiments, and for interleaved lists."""
    lists: float
    """Lists shown."""
    clicks: float
    """Views of an item of a list, once per list and item."""
    carts: float
    purchases: float
    revenue: float
    """Of these purchases: value, or else price, times quantity."""


@dataclass(frozen=True, kw_only=True)
class EventTotals:
    """All events of one day and role."""

    __pydantic_config__ = DESCRIBED
    day: int
    role: str
    events: int
    value: float
    """Sum of value times quantity."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What recommendations led to, and all events."""

    __pydantic_config__ = DESCRIBED
    window_hours: float
    """An event is attributed to the latest list that showed its item to its user within this many hours."""
    currency: str
    today: int
    lists: tuple[ListTotals, ...]
    events: tuple[EventTotals, ...]


@dataclass(frozen=True, kw_only=True)
class ShownProducts:
    """Which products some lists showed."""

    __pydantic_config__ = DESCRIBED
    places: int
    """Places in lists: products, counted each time they were shown."""
    tail_places: int
    """Those of the places with products outside the best sellers."""
    products: int
    """Different products."""
    share: float
    """Of the catalogue, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ShownByPlacement(ShownProducts):
    """Which products the lists of a placement showed."""

    __pydantic_config__ = DESCRIBED
    placement: str


@dataclass(frozen=True, kw_only=True)
class CoverageOfLists:
    """How much of the catalogue lists showed."""

    __pydantic_config__ = DESCRIBED
    days: int
    products: int
    """Products in the catalogue now."""
    best_sellers: int
    """The fewest products that make up half of the model's events; all others are the long tail."""
    lists: ShownProducts
    """All placements together."""
    placements: tuple[ShownByPlacement, ...]


@dataclass(frozen=True, kw_only=True)
class PastItem:
    """An item that a visitor did something with."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    title: str
    category: str
    time: float | None
    """Of the newest event, in seconds since 1970; null where only the order is known."""
    times: int
    roles: tuple[str, ...]
    """What was done, the newest first."""


@dataclass(frozen=True, kw_only=True)
class InterestPoint:
    """What a part of a history is about."""

    __pydantic_config__ = DESCRIBED
    label: str
    """A category, and words that set this part apart."""
    share: float
    """0 to 1, of the history; newer events count more."""
    typical: tuple[str, ...]
    """Titles."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A visitor's latest actions, and the list they get."""

    __pydantic_config__ = DESCRIBED
    user: str
    known: bool
    past: tuple[PastItem, ...]
    interests: tuple[InterestPoint, ...]
    """Interest points, the largest first; none for somebody without a history, or in a shop of more than
    200,000 items."""
    list: RecommendedList
