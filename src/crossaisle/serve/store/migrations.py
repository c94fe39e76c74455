"""How a store gets its tables, and how one that an older crossaisle wrote becomes one of this version."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from crossaisle.errors import StoreError
from crossaisle.serve.store.deleted_users import keyed
from crossaisle.serve.store.engine import VERSION, SqlConnection

PEOPLE_KEY, UNCLEAN = "people_key", "unclean"
"""Rows of the table `meta`: what digests of people are made with; that files hold what was deleted."""
KEY_BYTES = 32


class Step(NamedTuple):
    """From the version before."""

    before: Sequence[str]
    """Statements, before tables that are missing are made."""
    after: Callable[[SqlConnection], None]


def bring_up(connection: SqlConnection, name: str, found: int, tables: Sequence[str]) -> None:
    """Within a transaction: all tables, whatever version was `found`; 0 for a new store.

    Raises `StoreError` for a version that is newer than this.
    """
    if found > VERSION:
        raise StoreError(f"{name}: written by a newer crossaisle (store version {found}): update")
    steps = [STEPS[version] for version in range(found + 1, VERSION + 1)] if found else []
    for statement in (*(one for step in steps for one in step.before), *tables):
        connection.execute(statement)
    if _value(connection, PEOPLE_KEY) is None:
        connection.execute(_ANEW, (PEOPLE_KEY, secrets.token_bytes(KEY_BYTES)))
    for step in steps:
        step.after(connection)


def people_key(connection: SqlConnection) -> bytes:
    """What digests of people are made with; the same for all who serve from a store."""
    return _value(connection, PEOPLE_KEY) or b""


def mark_unclean(connection: SqlConnection) -> None:
    """Within a transaction that deletes: files hold what was deleted until they are cleaned."""
    connection.execute(_ANEW, (UNCLEAN, secrets.token_bytes(8)))


def unclean(connection: SqlConnection) -> bytes | None:
    """The mark of the last transaction that deleted; None where everything is clean."""
    return _value(connection, UNCLEAN)


def _value(connection: SqlConnection, name: str) -> bytes | None:
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else bytes(found[0])


def mark_clean(connection: SqlConnection, mark: bytes) -> None:
    """Takes the mark away, unless something was deleted since it was read."""
    connection.execute("DELETE FROM meta WHERE name = ? AND value = ?", (UNCLEAN, mark))


def _keyed_people(connection: SqlConnection) -> None:
    """Digests without a key become digests with one, also in the audit log, which shows their beginnings."""
    key, now = people_key(connection), time.time()
    digests = [bytes(row[0]) for row in connection.execute("SELECT digest FROM forgotten_1").fetchall()]
    found = [(keyed(key, digest), now) for digest in digests]
    connection.executemany("INSERT INTO forgotten (digest, time) VALUES (?, ?)", found)
    shown = {plain.hex()[:16]: new.hex()[:16] for plain, (new, _) in zip(digests, found, strict=True)}
    start = "deleted person "
    lines = connection.execute("SELECT seq, what FROM audit WHERE what LIKE ?", (f"{start}%",)).fetchall()
    for seq, what in lines:
        digest, comma, rest = what.removeprefix(start).partition(",")
        line = f"{start}{shown.get(digest, '(unknown)')}{comma}{rest}"
        connection.execute("UPDATE audit SET what = ? WHERE seq = ?", (line, seq))
    connection.execute("DELETE FROM changes WHERE what = 'forgotten'")
    connection.execute("DROP TABLE forgotten_1")
    mark_unclean(connection)


_ANEW = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
STEPS: Mapping[int, Step] = {2: Step(("ALTER TABLE forgotten RENAME TO forgotten_1",), _keyed_people)}
"""By the version that they lead to."""
