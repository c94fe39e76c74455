"""`ChangeLog`: the table `changes`, by which workers and hosts follow each other; and the audit log."""

from __future__ import annotations

import time
from collections.abc import Iterable

from crossaisle.errors import ConflictError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.meta import mark_unclean

AT_ONCE = ("forgotten", "withdrawn")
"""Changes that others take in as they read them; the others wait for their turn."""
Deed = tuple[str, str]
"""Who did what, in words."""
_CHANGED = f"SELECT coalesce(max(seq), 0) FROM changes WHERE what NOT IN {AT_ONCE}"
_LOG = (
    "INSERT INTO changes (what, name, seq, body) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (what, name) DO UPDATE SET seq = excluded.seq, body = excluded.body"
)
_NOTE = "INSERT INTO audit (time, who, what) VALUES (?, ?, ?)"


class ChangeLog:
    """Of one store. A thing is kept once, with the number of its last change."""

    def __init__(self, store: str) -> None:
        """`store`: its name, for errors."""
        self._store = store
        self.follows: int | None = None
        """While something is changed: the number of the last change that it takes into account."""

    def add(self, connection: SqlConnection, what: str, names: Iterable[str], body: str = "") -> None:
        """Within a transaction: things that changed, under a new number.

        `ConflictError` where another host has changed something since (`follows`): this one was away for so
        long that its turn went to others.
        """
        things = list(names)
        if not things:
            return
        seq = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM changes").fetchone()[0]
        if self.follows is not None and what not in AT_ONCE:
            if connection.execute(_CHANGED).fetchone()[0] > self.follows:
                raise ConflictError(
                    f"{self._store}: another host changed something in the meantime: send the request again"
                )
            self.follows = seq
        connection.executemany(_LOG, [(what, name, seq, body) for name in things])


def emptied(connection: SqlConnection) -> None:
    """Within a transaction: empties the log of deleted events of an earlier run, but for its highest number.

    So none comes twice.
    """
    last, n = connection.execute(
        "SELECT max(seq), count(*) FROM changes WHERE what = 'withdrawn' AND name <> ''"
    ).fetchone()
    if n:
        connection.execute("DELETE FROM changes WHERE what = 'withdrawn'")
        connection.execute(_LOG, ("withdrawn", "", last, ""))
        mark_unclean(connection)


def audit(connection: SqlConnection, deed: Deed | None, when: float | None = None) -> None:
    """Within the transaction of a deed: its line in the audit log; there is none without the other."""
    if deed is not None:
        row = time.time() if when is None else when, *deed
        connection.execute(_NOTE, row)
