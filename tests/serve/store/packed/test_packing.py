"""Packed events are those of the table `events`, whatever was added and deleted since."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.deletions import forget, withdraw
from crossaisle.serve.store.migrations.apply import MIGRATIONS
from crossaisle.serve.store.packed.merging import PackedEvents
from crossaisle.serve.store.packed.pack import Pack
from crossaisle.serve.store.packed.reading import packed_to, read, read_rows
from crossaisle.serve.store.packed.writing import next_portion, put_portion
from crossaisle.serve.store.records import Event, EventRow
from crossaisle.serve.store.schema import COLUMNS
from crossaisle.serve.store.store import Store

USERS = ("ann", "bob", "cy", "dan")
ROWS = 'SELECT seq, "user", item, kind, value, quantity, time FROM events WHERE seq > ? ORDER BY seq'
AT_ONCE = 5
added = st.tuples(
    st.just("add"),
    st.sampled_from(USERS),
    st.sampled_from(("milk", "rice", "tea")),
    st.sampled_from(("purchase", "rating")),
    st.sampled_from((1.0, 2.5, 1e9 + 1 / 3)),
    st.sampled_from((None, 4.5)),
)
steps = st.lists(
    st.one_of(
        added,
        added,
        added,
        st.tuples(st.just("forget"), st.sampled_from(USERS)),
        st.tuples(st.just("withdraw"), st.integers(0, 20)),
        st.just(("pack",)),
        st.just(("read", "pack")),
    ),
    max_size=60,
)


@contextmanager
def tables() -> Iterator[Any]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for migration in MIGRATIONS:
            migration.apply(connection, "sqlite")
        yield connection


def newer(connection: Any) -> Callable[[int], Iterator[Sequence[EventRow]]]:
    def portions(after: int) -> Iterator[Sequence[EventRow]]:
        rows = connection.execute(ROWS, (after,)).fetchall()
        yield from (rows[at : at + 3] for at in range(0, len(rows), 3))

    return portions


def histories(events: PackedEvents) -> dict[str, list[tuple[float, str, Any]]]:
    """Each user's events in their order."""
    ends = events.starts.tolist()
    every = [
        (time, events.items[item], events.deeds[deed])
        for time, item, deed in zip(
            events.time.tolist(), events.item.tolist(), events.deed.tolist(), strict=True
        )
    ]
    found = {user: every[ends[at] : ends[at + 1]] for at, user in enumerate(events.users)}
    return {user: some for user, some in found.items() if some}


def check(connection: Any) -> None:
    every, fresh = read(connection, newer(connection)), read_rows(newer(connection))
    assert histories(every) == histories(fresh)
    assert every.last >= fresh.last
    there = {row[0] for row in connection.execute('SELECT DISTINCT "user" FROM events')}
    assert {row[0] for row in connection.execute("SELECT name FROM packed_users")} <= there
    (last,) = connection.execute("SELECT coalesce(max(last), 0) FROM packed_events").fetchone()
    items = connection.execute("SELECT item, count(*) FROM events WHERE seq <= ? GROUP BY item", (last,))
    assert dict(items.fetchall()) == dict(connection.execute("SELECT name, n FROM packed_items").fetchall())


@given(steps)
@settings(max_examples=150)
def test_packs_equal_the_events_after_any_order_of_changes(steps: list[tuple[Any, ...]]) -> None:
    with tables() as connection:
        read_before, key = None, 0
        for what, *rest in steps:
            if what == "add":
                user, item, kind, time, value = rest
                row = (f"k{key}", user, item, kind, time, value, None)
                key += 1
                connection.execute(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            elif what == "forget":
                forget(connection, rest[0], rest[0].encode())
            elif what == "withdraw":
                withdraw(connection, f"k{rest[0]}")
            elif what == "read":  # and put later: something may be deleted meanwhile
                read_before = next_portion(connection, AT_ONCE)
            elif (portion := read_before or next_portion(connection, AT_ONCE)) is not None:
                put_portion(connection, portion)
                read_before = None
            check(connection)


def test_a_portion_of_which_something_was_deleted_is_read_anew() -> None:
    with tables() as connection:
        for n in range(AT_ONCE):
            row = (f"k{n}", USERS[n % 2], "milk", "view", float(n), None, None)
            connection.execute(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        portion = next_portion(connection, AT_ONCE)
        assert portion is not None
        withdraw(connection, "k1")
        assert not put_portion(connection, portion)
        assert not packed_to(connection)
        again = next_portion(connection, AT_ONCE - 1)
        assert again is not None
        assert put_portion(connection, again)
        assert not put_portion(connection, again), "another process has packed it"
        check(connection)


def test_bytes_of_a_pack() -> None:
    pack = Pack.of(np.int32([7, 3, 7]), np.int32([1, 2, 3]), np.int32([0, 0, 1]), np.float64([5, 1, 4]))
    assert pack.users.tolist() == [3, 7]
    assert pack.item.tolist() == [2, 3, 1]
    body = pack.to_bytes()
    assert all(map(np.array_equal, Pack.from_bytes(body), pack))
    for wrong in (body[:-1], body + b"x", body[4:], b""):
        with pytest.raises(ValueError, match=r"pack|buffer|size"):
            Pack.from_bytes(wrong)


LIMITS = StoreLimits(packed_events=10, rows_at_once=7)


def events(n: int, first: int = 0) -> list[Event]:
    numbers = range(first, first + n)
    return [Event(f"k{at}", USERS[at % 4], f"i{at % 3}", "view", 1000.0 - at % 5) for at in numbers]


def stored(store: Store) -> int:
    with store.reading() as connection:
        return packed_to(connection)


def test_a_store_is_packed_at_its_start_and_while_it_serves(place: str | Path) -> None:
    with closing(Store(place, limits=StoreLimits(packed_events=1000))) as store:
        store.add(events(25)).result()
    with closing(Store(place, serving=True, limits=LIMITS)) as store:
        assert stored(store) == 20
        expected = read_rows(store.event_rows)
        assert histories(store.packed_events()) == histories(expected)
        store.add(events(30, 25)).result()
        assert store.withdraw("k3").result() is not None
        assert store.forget("bob").result().events == 14
    with closing(Store(place, serving=True, limits=LIMITS)) as store:
        assert stored(store) >= 30
        assert histories(store.packed_events()) == histories(read_rows(store.event_rows))
        assert "bob" not in store.packed_events().users


def test_damaged_packs_are_made_anew(place: str | Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Store(place, serving=True, limits=LIMITS)) as store:
        store.add(events(20)).result()
    with closing(Store(place, serving=True, limits=LIMITS)) as store:
        store.submit(
            lambda connection: connection.execute("UPDATE packed_events SET body = ?", (b"no",))
        ).result()
        assert histories(store.packed_events()) == histories(read_rows(store.event_rows))
        assert "cannot be read" in caplog.text
        assert histories(store.packed_events()) == histories(read_rows(store.event_rows))
    with closing(Store(place, serving=True, limits=LIMITS)) as store:
        assert stored(store) == 20


def test_portions_leave_nothing_behind_while_cycles_are_not_looked_for() -> None:
    with tables() as connection:
        rows = [(f"k{n}", USERS[n % 4], "milk", "view", float(n), None, None) for n in range(AT_ONCE)]
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        gc.collect()
        gc.disable()
        try:
            next_portion(connection, AT_ONCE)
            assert not gc.collect()
        finally:
            gc.enable()
