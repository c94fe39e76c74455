"""What is stored about a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class KeptEvent:
    """An event as it is stored."""

    __pydantic_config__ = DESCRIBED
    key: str | None
    user: str
    item: str
    kind: str
    time: float
    """Seconds since 1970 (UTC)."""
    value: float | None
    quantity: float | None
    title: str | None = None
    """Only in responses to the console."""
    role: str | None = None
    """Meaning of the event kind: view, favourite, cart, rating, purchase, dislike, return, remove or ignored.
    Only in responses to the console."""


@dataclass(frozen=True, kw_only=True)
class ShownList:
    """A list that a user was shown within an experiment."""

    __pydantic_config__ = DESCRIBED
    experiment: str
    arm: str
    """"" if interleaved."""
    user: str
    time: float
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    """The probability of each item at its position, given the arm; empty if interleaved."""
    share: float
    """The probability of the arm."""
    ranked: tuple[str, ...] = ()
    """The ranking from which an exploring arm sampled, truncated to the length of the list."""
    teams: tuple[int, ...] = ()
    """Which arm placed each item, if interleaved."""


@dataclass(frozen=True, kw_only=True)
class NumberedList(ShownList):
    """An entry of the exposure log."""

    seq: int
    """Pass the last one as `after` to get the next page."""


@dataclass(frozen=True, kw_only=True)
class UserRecord:
    """Everything stored about a user."""

    __pydantic_config__ = DESCRIBED
    user: str
    attributes: dict[str, Any]
    events: tuple[KeptEvent, ...]
    """Events since the model was fitted, in order of arrival; one page."""
    history: tuple[str, ...]
    """Item ids of the user's history in the model."""
    shown: tuple[ShownList, ...] = ()
    """Lists shown within experiments; one page."""
    as_of: float
    total: int = 0
    """Total number of events."""
    next: int | None = None
    """Pass it as `after` to get the next page of events; null on the last page."""
    shown_total: int = 0
    shown_next: int | None = None
    """The same for shown lists: pass it as `shown_after`."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """The outcome of deleting a user."""

    __pydantic_config__ = DESCRIBED
    events_deleted: int
    overwritten: bool = False
    """Whether no file of the store contains any trace any more. If false, traces disappear as soon as nobody
    reads the store's log; with PostgreSQL, when the server cleans up."""
