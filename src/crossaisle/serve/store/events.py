"""Rows of the table `events`, and their keys: which events are new, which contradict what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossaisle.errors import ConflictError, shorten
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.records import Event
from crossaisle.serve.store.schema import COLUMNS

MANY = 500
"""Keys looked up with one statement."""


def fresh_ones(events: Sequence[Event], known: Mapping[str, Event]) -> list[bool]:
    """Which events are new: those without a key, and the first of each key that is not `known`.

    The same key with other content is a mistake of the sender and must not pass for a repetition:
    `ConflictError`.
    """
    seen = dict(known)
    out: list[bool] = []
    wrong: list[int] = []
    for row, event in enumerate(events):
        key = event.key
        before = None if key is None else seen.get(key)
        if key is not None and before is None:
            seen[key] = event
        elif before is not None and content(event) != content(before):
            wrong.append(row)
        out.append(before is None)
    if wrong:
        raise conflict(events, wrong)
    return out


def conflict(events: Sequence[Event], rows: Sequence[int]) -> ConflictError:
    """The error for events whose keys are known with other content."""
    place = f"row {rows[0]}: " if len(events) > 1 else ""
    return ConflictError(
        f"{place}{known_otherwise(events[rows[0]])}: nothing of this request was kept; give a new event a "
        "new key",
        rows=rows,
    )


def known_otherwise(event: Event) -> str:
    """What is wrong with an event whose key is known with other content."""
    return f"key {shorten(event.key)} is already known with another user, item, kind, value or quantity"


def content(event: Event) -> tuple[Any, ...]:
    """What is compared where a key comes again. Not the time: an event sent again without one has a later."""
    return event.user, event.item, event.kind, event.value, event.quantity


def kept_under(connection: SqlConnection, keys: Sequence[str]) -> dict[str, Event]:
    """The events that are kept under some keys."""
    known: dict[str, Event] = {}
    for start in range(0, len(keys), MANY):
        part = keys[start : start + MANY]
        query = f"SELECT {COLUMNS} FROM events WHERE key IN ({','.join('?' * len(part))})"
        known |= {row[0]: Event(*row) for row in connection.execute(query, part)}
    return known


def newest(connection: SqlConnection) -> int:
    """The number of the last event; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def events_since(connection: SqlConnection, after: int, n: int | None = None) -> list[tuple[int, Event]]:
    """Events with numbers greater than `after`, in the order in which they came: all, or the first `n`."""
    query = f"SELECT seq, {COLUMNS} FROM events WHERE seq > ? ORDER BY seq"
    limit = "" if n is None else f" LIMIT {n:d}"
    return [(seq, Event(*row)) for seq, *row in connection.execute(query + limit, (after,))]
