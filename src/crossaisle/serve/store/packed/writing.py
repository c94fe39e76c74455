"""What is packed, within transactions: the next events, and what deletions take out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.packed.pack import Integers, Pack, numbering, packed
from crossaisle.serve.store.packed.reading import PARTS, deed_name, packed_to
from crossaisle.serve.store.records import Event, EventRow

MANY = 500
"""Names looked up with one statement."""
TABLES = ("packed_events", "packed_users", "packed_items", "packed_deeds")
_ROWS = 'SELECT seq, "user", item, kind, value, quantity, time FROM events WHERE seq > ? ORDER BY seq LIMIT ?'
_PUT = "INSERT INTO packed_events (part, last, n, body) VALUES (?, ?, ?, ?)"


class Portion(NamedTuple):
    """The next events to be packed."""

    after: int
    last: int
    pack: Pack
    users: list[str]
    items: list[str]
    deeds: list[str]


def next_portion(connection: SqlConnection, n: int) -> Portion | None:
    """The next `n` events after those that are packed; None where there are not as many."""
    after = packed_to(connection)
    rows: list[EventRow] = connection.execute(_ROWS, (after, n)).fetchall()
    if len(rows) < n:
        return None
    users, items, deeds = numbering(), numbering(), numbering()
    pack = packed(rows, users, items, deeds)
    for one in (users, items, deeds):
        one.default_factory = (
            None  # or it would hold itself until cycles are looked for, which a start leaves out
        )
    return Portion(after, rows[-1][0], pack, [*users], [*items], [*map(deed_name, deeds)])


def put_portion(connection: SqlConnection, portion: Portion) -> bool:
    """Keeps a portion; False where something of it was deleted since it was read, or another process packed
    it: then the next one is read anew.
    """
    query = "SELECT count(*) FROM events WHERE seq > ? AND seq <= ?"
    there = connection.execute(query, (portion.after, portion.last)).fetchone()[0]
    pack = portion.pack
    if packed_to(connection) != portion.after or there != len(pack.item):
        return False
    codes = _codes(connection, "packed_users", portion.users)
    item = _counted(connection, "packed_items", portion.items, pack.item)
    deed = _counted(connection, "packed_deeds", portion.deeds, pack.deed)
    user = codes[pack.user]
    for part in range(PARTS):
        some = user % PARTS == part
        if some.any():
            one = Pack.of(user[some], item[some], deed[some], pack.time[some])
            connection.execute(_PUT, (part, portion.last, len(one.item), one.to_bytes()))
    return True


def empty(connection: SqlConnection) -> None:
    """Packs nothing any more: everything is packed anew."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")


def _counted(connection: SqlConnection, table: str, names: Sequence[str], numbers: Integers) -> Integers:
    """Codes of items or deeds, whose events are counted."""
    codes = _codes(connection, table, names)
    counts = np.bincount(numbers, minlength=len(names))
    _count(connection, table, codes, counts)
    return codes[numbers]


def _count(connection: SqlConnection, table: str, codes: Iterable[int], counts: Iterable[int]) -> None:
    rows = [(int(n), int(code)) for code, n in zip(codes, counts, strict=True) if n]
    connection.executemany(f"UPDATE {table} SET n = n + ? WHERE code = ?", rows)


def _codes(connection: SqlConnection, table: str, names: Sequence[str]) -> Integers:
    """int32 (len(names),): codes; new names get the next ones."""
    known: dict[str, int] = {}
    for start in range(0, len(names), MANY):
        some = names[start : start + MANY]
        query = f"SELECT name, code FROM {table} WHERE name IN ({','.join('?' * len(some))})"
        known |= connection.execute(query, some).fetchall()
    new = [name for name in names if name not in known]
    first = connection.execute(f"SELECT coalesce(max(code), 0) + 1 FROM {table}").fetchone()[0]
    known |= zip(new, range(first, first + len(new)), strict=True)
    values = "?, ?" if table == "packed_users" else "?, ?, 0"
    connection.executemany(f"INSERT INTO {table} VALUES ({values})", [(known[name], name) for name in new])
    return np.array([known[name] for name in names], np.int32)


# Deletions


def unpack_user(connection: SqlConnection, user: str) -> None:
    """Takes a user out of all packs, before their events are deleted."""
    found = connection.execute("SELECT code FROM packed_users WHERE name = ?", (user,)).fetchone()
    if found is None:
        return
    code = int(found[0])
    rows = connection.execute('SELECT seq FROM events WHERE "user" = ?', (user,)).fetchall()
    for last in _packs_of(connection, code, [row[0] for row in rows]):
        pack = _pack(connection, code, last)
        _keep(connection, code, last, pack, pack.user != code)
    connection.execute("DELETE FROM packed_users WHERE code = ?", (code,))
    _sweep(connection)


def unpack_event(connection: SqlConnection, seq: int, event: Event) -> None:
    """Takes one event out of its pack, after it was deleted from `events`."""
    found = connection.execute("SELECT code FROM packed_users WHERE name = ?", (event.user,)).fetchone()
    if found is None:
        return
    code = int(found[0])
    for last in _packs_of(connection, code, [seq]):
        pack = _pack(connection, code, last)
        deed = deed_name((event.kind, event.value, event.quantity))
        same = (pack.user == code) & (pack.time == event.time)
        for table, name, numbers in (("items", event.item, pack.item), ("deeds", deed, pack.deed)):
            row = connection.execute(f"SELECT code FROM packed_{table} WHERE name = ?", (name,)).fetchone()
            same &= numbers == (-1 if row is None else row[0])
        kept = np.ones(len(same), bool)
        kept[np.flatnonzero(same)[:1]] = False
        _keep(connection, code, last, pack, kept)
    if connection.execute('SELECT 1 FROM events WHERE "user" = ? LIMIT 1', (event.user,)).fetchone() is None:
        connection.execute("DELETE FROM packed_users WHERE code = ?", (code,))
    _sweep(connection)


def _packs_of(connection: SqlConnection, code: int, seqs: Sequence[int]) -> list[int]:
    """Which packs hold events with these numbers, of a user."""
    query = "SELECT last FROM packed_events WHERE part = ? ORDER BY last"
    lasts = np.array([row[0] for row in connection.execute(query, (code % PARTS,))], np.int64)
    place = np.unique(np.searchsorted(lasts, np.array(seqs, np.int64)))
    return [int(one) for one in lasts[place[place < len(lasts)]]]


def _pack(connection: SqlConnection, code: int, last: int) -> Pack:
    query = "SELECT body FROM packed_events WHERE part = ? AND last = ?"
    return Pack.from_bytes(bytes(connection.execute(query, (code % PARTS, last)).fetchone()[0]))


def _keep(connection: SqlConnection, code: int, last: int, pack: Pack, kept: npt.NDArray[np.bool_]) -> None:
    """Leaves some events of a pack."""
    where = code % PARTS, last
    for table, numbers in (("packed_items", pack.item), ("packed_deeds", pack.deed)):
        codes, counts = np.unique(numbers[~kept], return_counts=True)
        _count(connection, table, codes.tolist(), (-counts).tolist())
    if kept.any():
        left = pack.only(kept)
        row = (len(left.item), left.to_bytes(), *where)
        connection.execute("UPDATE packed_events SET n = ?, body = ? WHERE part = ? AND last = ?", row)
    else:
        connection.execute("DELETE FROM packed_events WHERE part = ? AND last = ?", where)


def _sweep(connection: SqlConnection) -> None:
    """Forgets items and deeds that no event has any more."""
    connection.execute("DELETE FROM packed_items WHERE n <= 0")
    connection.execute("DELETE FROM packed_deeds WHERE n <= 0")
