"""`Own`: a user's live events; `Deed`: what one of them was."""

from __future__ import annotations

from typing import NamedTuple


class Deed(NamedTuple):
    """What a user did: the same one object for all events that are alike."""

    kind: str
    value: float | None = None
    quantity: float | None = None


class Own(NamedTuple):
    """A user's live events, oldest first. Replaced, never changed, so that readers need no lock."""

    items: tuple[str, ...] = ()
    """Of the latest events by their times, as many as `HistoryLimits` allows."""
    days: tuple[float, ...] = ()
    """Days since 1970."""
    deeds: tuple[Deed, ...] = ()
    """What each event was."""
    version: int = 0
    """Grows with every change."""
    total: int = 0
    """All live events, including those that are in the store only."""
