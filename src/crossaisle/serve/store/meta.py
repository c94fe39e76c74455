"""Rows of the table `meta`: the key of digests of users, whether files hold what was deleted, totals."""

from __future__ import annotations

import secrets

from crossaisle.serve.store.engine import SqlConnection

PEOPLE_KEY, UNCLEAN = "people_key", "unclean"
KEY_BYTES = 32
_PUT = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def make_people_key(connection: SqlConnection) -> bytes:
    """Within a transaction: the key, which is made where there is none yet."""
    key = people_key(connection)
    if not key:
        key = secrets.token_bytes(KEY_BYTES)
        connection.execute(_PUT, (PEOPLE_KEY, key))
    return key


def people_key(connection: SqlConnection) -> bytes:
    """What digests of users are made with; the same for all who serve from a store."""
    return _value(connection, PEOPLE_KEY) or b""


def mark_unclean(connection: SqlConnection) -> None:
    """Within a transaction that deletes: files hold what was deleted until they are cleaned."""
    connection.execute(_PUT, (UNCLEAN, secrets.token_bytes(8)))


def unclean(connection: SqlConnection) -> bytes | None:
    """The mark of the last transaction that deleted; None where everything is clean."""
    return _value(connection, UNCLEAN)


def mark_clean(connection: SqlConnection, mark: bytes) -> None:
    """Takes the mark away, unless something was deleted since it was read."""
    connection.execute("DELETE FROM meta WHERE name = ? AND value = ?", (UNCLEAN, mark))


def put_value(connection: SqlConnection, name: str, value: bytes) -> None:
    """Within a transaction: keeps a value under a name."""
    connection.execute(_PUT, (name, value))


def drop_value(connection: SqlConnection, name: str) -> None:
    """Within a transaction: takes a value away."""
    connection.execute("DELETE FROM meta WHERE name = ?", (name,))


def values_of(connection: SqlConnection, beginning: str) -> list[tuple[str, bytes]]:
    """Names with a beginning, and their values."""
    query = "SELECT name, value FROM meta WHERE name LIKE ? ORDER BY name"
    return [(str(name), bytes(value)) for name, value in connection.execute(query, (f"{beginning}%",))]


def _value(connection: SqlConnection, name: str) -> bytes | None:
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else bytes(found[0])
