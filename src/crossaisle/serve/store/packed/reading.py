"""`read`: all events of a store, most of them from packs; the latest as they are in the table `events`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.packed.merging import Merging, PackedEvents
from crossaisle.serve.store.packed.pack import Deed, Integers, Pack, numbering, packed
from crossaisle.serve.store.records import EventRow

Newer = Callable[[int], Iterable[Sequence[EventRow]]]
PARTS = 16
"""Users of a pack are in different rows by their numbers, so that who deletes one rewrites little."""


def read(connection: SqlConnection, newer: Newer) -> PackedEvents:
    """`connection`: within a transaction that sees one state of the store. `newer`: events after a number, in
    portions. `ValueError` where packs and names do not belong together.
    """
    query = f"SELECT code, name FROM packed_users ORDER BY code % {PARTS}, code"
    codes, names = _named(connection, query)
    item_codes, item_names = _named(connection, "SELECT code, name FROM packed_items ORDER BY code")
    deed_codes, deed_names = _named(connection, "SELECT code, name FROM packed_deeds ORDER BY code")
    tail = Tail(names, item_names, [deed_of(name) for name in deed_names])
    tail.add(newer(packed_to(connection)))
    user_at, item_at, deed_at = (_places(one) for one in (codes, item_codes, deed_codes))
    stored = int(connection.execute("SELECT coalesce(sum(n), 0) FROM packed_events").fetchone()[0])
    merging = tail.begun(stored)
    query = "SELECT body FROM packed_events WHERE part = ? ORDER BY last"
    start = 0
    for part, n in enumerate(np.bincount(codes % PARTS, minlength=PARTS).tolist()):
        packs = [Pack.from_bytes(bytes(body)) for (body,) in connection.execute(query, (part,))]
        known = []
        if packs:
            users, counts, item, deed, time = Pack.joined(packs)
            known = [Pack(_at(user_at, users), counts, _at(item_at, item), _at(deed_at, deed), time)]
        merging.add([*known, *tail.of(start, start + n)], start + n)
        start += n
    return tail.ended(merging, start, packed_to(connection))


def read_rows(newer: Newer) -> PackedEvents:
    """The same without any pack."""
    tail = Tail([], [], [])
    tail.add(newer(0))
    return tail.ended(tail.begun(0), 0, 0)


class Tail:
    """Events that are not packed yet, in portions."""

    def __init__(self, users: Sequence[str], items: Sequence[str], deeds: Sequence[Deed]) -> None:
        """Names that have numbers already."""
        self._users, self._items, self._deeds = numbering(users), numbering(items), numbering(deeds)
        self._packs: list[Pack] = []
        self.n = self._last = 0

    def add(self, portions: Iterable[Sequence[EventRow]]) -> None:
        """Takes in events in the order in which they came."""
        for rows in portions:
            self._packs.append(packed(rows, self._users, self._items, self._deeds))
            self.n, self._last = self.n + len(rows), rows[-1][0]

    def begun(self, stored: int) -> Merging:
        """Where all events have room. `stored`: of packs."""
        return Merging(stored + self.n, len(self._items), len(self._deeds))

    def of(self, start: int, end: int) -> list[Pack]:
        """Those of users with numbers from `start` to before `end`."""
        return [one.of_users(start, end) for one in self._packs]

    def ended(self, merging: Merging, start: int, packed: int) -> PackedEvents:
        """All events: those of new users, too. `packed`: the number of the last that is packed."""
        n = len(self._users)
        merging.add(self.of(start, n), n)
        return merging.events([*self._users], [*self._items], [*self._deeds], self._last or packed)


def deed_name(deed: Deed) -> str:
    """A kind, value and quantity as they are kept."""
    return json.dumps(deed, ensure_ascii=False)


def deed_of(name: str) -> Deed:
    """The other way round; `ValueError` where it is none."""
    kind, value, quantity = json.loads(name)
    return kind, value, quantity


def packed_to(connection: SqlConnection) -> int:
    """The number of the last event that is packed; 0 where none is."""
    return int(connection.execute("SELECT coalesce(max(last), 0) FROM packed_events").fetchone()[0])


def _named(connection: SqlConnection, query: str) -> tuple[Integers, list[str]]:
    rows = connection.execute(query).fetchall()
    codes, names = zip(*rows, strict=True) if rows else ((), ())
    return np.array(codes, np.int32), list(names)


def _places(codes: Integers) -> Integers:
    """Places by code; -1 for a code that there is not."""
    places = np.full(int(codes.max(initial=-1)) + 2, -1, np.int32)
    places[codes] = np.arange(len(codes))
    return places


def _at(places: Integers, codes: Integers) -> Integers:
    found: Integers = places[np.minimum(codes, len(places) - 1)]
    if len(found) and found.min() < 0:
        raise ValueError("a pack names something that does not exist")
    return found
