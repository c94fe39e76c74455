"""Deletions, within transactions: of a user, and of one event."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.events import kept_under
from crossaisle.serve.store.meta import mark_unclean
from crossaisle.serve.store.packed.writing import unpack_event, unpack_user
from crossaisle.serve.store.records import Event


class Deleted(NamedTuple):
    """What a deletion found."""

    events: int
    time: float
    """Its moment, in seconds since 1970: nothing of before that is kept any more."""


def deletion(connection: SqlConnection, digest: bytes) -> float | None:
    """When a user was deleted last; None for most."""
    found = connection.execute("SELECT time FROM forgotten WHERE digest = ?", (digest,)).fetchone()
    return None if found is None else float(found[0])


def forget(connection: SqlConnection, user: str, digest: bytes) -> Deleted:
    """Deletes everything about a user and remembers, as a digest, when that was."""
    known = deletion(connection, digest)
    query = 'SELECT max(time) FROM events WHERE "user" = ?'
    newest = connection.execute(query, (user,)).fetchone()[0]
    # Clocks differ: nothing that was deleted is later than its deletion, and so comes back.
    # Each deletion of a user has a time of its own: `put_user` tells them apart by it.
    now = max(time.time(), newest or 0.0, math.nextafter(known or 0.0, math.inf))
    unpack_user(connection, user)
    gone, *others = (
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (user,)).rowcount
        for table, column in (("events", '"user"'), ("users", "id"), ("exposures", '"user"'))
    )
    connection.execute(_FORGET, (digest, now))
    if gone or any(others):
        mark_unclean(connection)
    return Deleted(int(gone), now)


def withdraw(connection: SqlConnection, key: str) -> Event | None:
    """Deletes the event that was sent with a key; returns it, or None where there is none."""
    event = kept_under(connection, [key]).get(key)
    if event is None:
        return None
    seq = connection.execute("SELECT seq FROM events WHERE key = ?", (key,)).fetchone()[0]
    connection.execute("DELETE FROM events WHERE key = ?", (key,))
    unpack_event(connection, seq, event)
    mark_unclean(connection)
    return event


_FORGET = (
    "INSERT INTO forgotten (digest, time) VALUES (?, ?) "
    "ON CONFLICT (digest) DO UPDATE SET time = excluded.time"
)
