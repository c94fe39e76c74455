"""A store that an earlier version has written answers as it did then, on both engines."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.local_servers import Postgres
from crossaisle import __version__
from crossaisle.errors import StoreError
from crossaisle.serve.experiments.design import Arm, Controls, Experiment
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.store.api_keys import Keys, list_keys
from crossaisle.serve.store.migrations.apply import MIGRATIONS
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.records import Change, Event, Picture
from crossaisle.serve.store.schema import VERSION
from crossaisle.serve.store.sqlite.store_file import NAMES, names_of
from crossaisle.serve.store.store import Kept, Store
from tests.serve.store import killing
from tests.serve.store.test_migrations import FIRST, written

_NUMBERS = count()
EVENTS = [
    (1, Event("order-1-line-1", "ann", "bread", "purchase", 1764000000.0, 2.5, 2.0)),
    (2, Event("order-1-line-2", "ann", "jam", "purchase", 1764000000.0, 3.25, 1.0)),
    (3, Event(None, "bob", "bread", "view", 1764000100.5)),
    (4, Event(None, "bob", "bread", "view", 1764000100.5)),
    (5, Event("k;'5", "zoë 你好?", "käse 100 %", "cart", 1764000200.0, None, 3.0)),
]
EXPERIMENTS = {
    "shares": Experiment(
        name="shares",
        arms=(Arm(name="a"), Arm(name="b", weight=2.0, controls=Controls(cross_share=0.5), explore=1.5)),
        started=1763999000.0,
    ),
    "old": Experiment(
        name="old",
        kind="interleaving",
        arms=(Arm(name="a"), Arm(name="b", weights={"popularity": 1.0})),
        metric="count",
        goal=("view",),
        started=1763000000.0,
        stopped=1763900000.0,
    ),
}
SHOWN = [
    (1, Exposure("shares", "b", "ann", 1763999500.0, ("jam", "bread"), (0.75, 0.5), 2 / 3, ("bread", "jam"))),
    (2, Exposure("old", "", "bob", 1763500000.0, ("bread", "jam"), (), 1.0, (), (0, 1))),
]
DELETED = Event("gone-1", "eve", "bread", "view", 1764000300.0)


def written_at(place: str | Path) -> str | Path:
    """The earlier store, in a new place."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as connection:
            connection.executescript(written("sqlite"))
        return place
    with closing(PostgresEngine(place).open()) as connection:
        connection.execute(f'CREATE SCHEMA "{place.partition("schema=")[2]}"')
        connection.execute(written("postgres"))
    return place


@pytest.fixture
def earlier(place: str | Path) -> str | Path:
    return written_at(place)


@pytest.fixture
def more(request: pytest.FixtureRequest, place: str | Path, tmp_path: Path) -> Callable[[], str | Path]:
    """Locations of more stores, on the engine of `place`."""

    def new() -> str | Path:
        if isinstance(place, Path):
            return tmp_path / f"more-{next(_NUMBERS)}.sqlite"
        server: Postgres = request.getfixturevalue("postgres")
        return f"{server.url}&schema=more_{next(_NUMBERS)}"

    return new


def applied(store: Store) -> list[Any]:
    query = "SELECT version, applied, crossaisle FROM store_version ORDER BY version"
    with store.reading() as connection:
        return list(connection.execute(query).fetchall())


def answers_as_before(store: Store) -> None:
    """Everything that was written is there."""
    assert list(store.events()) == EVENTS
    assert store.items() == {
        "rye": {"title": "Rye bread", "price": 4.5, "categories": [["Bakery", "Bread"]]},
        "jam": {"in_stock": False},
        "käse": {"title": "Käse 100 % 你好?; 'x'"},
    }
    (picture,) = store.pictures().values()
    assert picture[:3] == (hashlib.sha256(b"a picture").digest(), "https://shop.example/rye.png", "encoder-1")
    assert np.array_equal(picture.vector, np.array([0.6, -0.8], np.float16))
    assert store.picture("rye") == b"\x89PNG\r\n\x1a\n\x00'"
    assert store.user("ann") == {"city": "Ghent", "club": True}
    assert store.user("bob") == {"note": "it's"}
    assert store.user("eve") is None
    assert list_keys(store) == [("reports", "read", True), ("webshop", "read,write", False)]
    key = Keys(store).find("ca_webshop-token")
    assert key is not None
    assert (key.name, key.scopes) == ("webshop", frozenset({"read", "write"}))
    assert Keys(store).find("ca_report-token") is None
    log = ExperimentLog(store)
    assert log.experiments() == EXPERIMENTS
    assert [*log.exposures("shares"), *log.exposures("old")] == SHOWN
    assert log.exposures_of("ann") == SHOWN[:1]
    assert list(log.goals(EXPERIMENTS["shares"])) == [EVENTS[0][1], EVENTS[1][1], EVENTS[4][1]]
    forgotten = store.forgotten()
    assert "eve" in forgotten
    assert list(forgotten.times) == [store.digest_of("eve")]
    assert [(line["time"], line["who"], line["what"]) for line in store.audit()] == [
        (1764000500.0, "local", "deleted item 'soap'"),
        (1764000400.0, "webshop", f"deleted person {store.digest_of('eve').hex()[:16]}, 1 events"),
    ]
    assert store.newest_change() == 5
    assert store.model_switch() == '{"active": "models/b", "previous": "models/a", "run": "run-1"}'
    with closing(store.feed()) as feed, feed.snapshot() as now:
        assert now.events_since(2, 2) == EVENTS[2:4]
        assert [(change.seq, change.what, change.name) for change in now.changes_since(1)] == [
            (2, "item", "käse"),
            (3, "experiment", "shares"),
            (4, "experiment", "old"),
            (5, "model", ""),
        ]
        assert isinstance(now.changes_since(4)[0], Change)


def goes_on(store: Store) -> None:
    """What is written now follows what was there."""
    new = Event("new", "ann", "rye", "view", 1765000000.0)
    assert store.add([EVENTS[0][1], new, DELETED]).result() == Kept([new], 1)
    assert [event for _, event in store.events(after=5)] == [new]
    store.put_items({}, {"rye": Picture(b"d", "", "encoder-2", np.ones(2, np.float16), b"c")}).result()
    assert store.picture("rye") == b"c"
    assert store.forget("bob").result().events == 2
    assert ExperimentLog(store).exposures_of("bob") == []


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, VERSION + 1))


def test_a_store_of_an_earlier_version_answers_as_before(earlier: str | Path) -> None:
    with closing(Store(earlier, serving=True)) as store:
        answers_as_before(store)
    with closing(Store(earlier, serving=True)) as again:
        answers_as_before(again)
        goes_on(again)


def test_each_version_is_recorded_with_time_and_crossaisle(earlier: str | Path) -> None:
    before = time.time()
    with closing(Store(earlier)) as store:
        first, *others = applied(store)
    assert tuple(first) == (1, None, None), "nobody wrote down when that was"
    assert [(version, crossaisle) for version, _, crossaisle in others] == [
        (version, __version__) for version in range(2, VERSION + 1)
    ]
    assert all(before <= when <= time.time() for _, when, _ in others)
    with closing(Store(earlier)) as again:
        assert applied(again) == [first, *others]


def test_a_store_from_before_versions_were_recorded_gets_its_record(place: str | Path) -> None:
    with closing(Store(place)) as store:
        store.add([EVENTS[0][1]]).result()
        bare = ["DROP TABLE store_version"]
        if isinstance(place, str):
            columns = "DROP COLUMN applied, DROP COLUMN crossaisle"
            bare = ["DELETE FROM store_version WHERE version = 1", f"ALTER TABLE store_version {columns}"]
        for statement in bare:
            store.submit(lambda connection, one=statement: connection.execute(one)).result()
    for _ in range(2):
        with closing(Store(place)) as store:
            assert tuple(applied(store)[-1]) == (VERSION, None, None)
            assert list(store.events()) == EVENTS[:1]


def test_a_new_store_has_all_versions_recorded_and_all_tables(place: str | Path) -> None:
    with closing(Store(place)) as store:
        assert [(version, crossaisle) for version, _, crossaisle in applied(store)] == [
            (version, __version__) for version in range(1, VERSION + 1)
        ]
        with store.reading() as connection:
            if isinstance(place, Path):
                names = {name for name in names_of(connection) if not name.startswith("sqlite_")}
            else:
                query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
                names = {row[0] for row in connection.execute(f"{query} AND relkind IN ('r', 'i')")}
                names = {name for name in names if not name.endswith(("_pkey", "_key"))}
    assert names == NAMES


def test_an_earlier_store_and_a_new_one_have_the_same_tables(earlier: str | Path, more: Any) -> None:
    def columns(place: str | Path) -> list[Any]:
        with closing(Store(place)) as store, store.reading() as connection:
            if isinstance(place, Path):
                query = (
                    'SELECT t.name, c.cid, c.name, c.type, c."notnull", c.pk FROM sqlite_master AS t, '
                    "pragma_table_info(t.name) AS c ORDER BY 1, 2"
                )
            else:
                query = (
                    "SELECT table_name, ordinal_position, column_name, data_type, is_nullable "
                    "FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2"
                )
            return list(connection.execute(query).fetchall())

    assert columns(earlier) == columns(more())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork there")
def test_a_migration_that_was_killed_goes_on_wherever_that_was(
    place: str | Path, more: Callable[[], str | Path]
) -> None:
    stores = [written_at(more()) for _ in range(48)]
    command = [sys.executable, killing.__file__, *map(str, stores)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    killed = int(done.stdout)
    assert 8 <= killed < len(stores), "more statements than stores, or hardly any"
    for store in stores[: killed + 1]:
        with closing(Store(store)) as opened:
            answers_as_before(opened)
            assert [row[0] for row in applied(opened)] == list(range(1, VERSION + 1))


@pytest.mark.parametrize("old", [True, False], ids=["an earlier one", "a new one"])
def test_several_who_open_a_store_at_once_migrate_it_once(
    place: str | Path, more: Callable[[], str | Path], old: bool
) -> None:
    for _ in range(5):
        store = written_at(more()) if old else more()
        start, problems = threading.Barrier(4), list[BaseException]()

        def opened(
            store: str | Path = store, start: threading.Barrier = start, problems: Any = problems
        ) -> None:
            start.wait()
            try:
                Store(store).close()
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=opened) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems
        with closing(Store(store)) as last:
            assert [row[0] for row in applied(last)] == list(range(1, VERSION + 1))
            if old:
                answers_as_before(last)


def test_a_newer_store_says_what_is_needed(place: str | Path) -> None:
    with closing(Store(place)) as store:
        row = (VERSION + 1, time.time(), "9.8.7")
        query = "INSERT INTO store_version (version, applied, crossaisle) VALUES (?, ?, ?)"
        store.submit(lambda connection: connection.execute(query, row)).result()
    said = (
        rf"store version {VERSION + 1}\): update this one to 9\.8\.7 or later \(it is {__version__}, which "
        rf"knows versions up to {VERSION}\), or serve from an older backup"
    )
    with pytest.raises(StoreError, match=said) as caught:
        Store(place)
    assert "\n" not in str(caught.value)


def test_both_dialects_make_the_same_tables(tmp_path: Path, postgres: Postgres) -> None:
    types = {"INTEGER": "bigint", "REAL": "double precision", "TEXT": "text", "BLOB": "bytea"}
    with closing(Store(tmp_path / "s.sqlite")) as store, store.reading() as connection:
        query = (
            'SELECT t.name, c.name, c.type, c."notnull" OR c.pk FROM sqlite_master AS t, '
            "pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
        )
        ours = {(table, name, types[kind], must) for table, name, kind, must in connection.execute(query)}
    with closing(Store(f"{postgres.url}&schema=same")) as store, store.reading() as connection:
        query = (
            "SELECT table_name, column_name, data_type, is_nullable = 'NO' FROM information_schema.columns "
            "WHERE table_schema = current_schema()"
        )
        theirs = set(map(tuple, connection.execute(query)))
    assert ours == theirs


# SQLite alone


def test_a_store_that_was_dumped_and_made_anew_keeps_its_version(tmp_path: Path) -> None:
    """`.dump` keeps neither `user_version` nor `application_id`."""
    old, copy = written_at(tmp_path / "old.sqlite"), tmp_path / "copy.sqlite"
    for place in (old, copy):
        for _ in range(2):  # of the earlier version, and of this one
            dumped(place, copy)
            with closing(Store(copy)) as store:
                answers_as_before(store)
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def dumped(place: str | Path, copy: Path) -> None:
    with closing(sqlite3.connect(place)) as connection:
        statements = "\n".join(connection.iterdump())
    for end in ("", "-wal", "-shm"):
        Path(f"{copy}{end}").unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript(statements)


@pytest.mark.parametrize("statements", [1, 4, 13, 14])
def test_a_store_whose_very_first_start_was_killed_is_completed(tmp_path: Path, statements: int) -> None:
    """The earlier version committed its tables one by one, and its number at the end."""
    place = tmp_path / "s.sqlite"
    made = FIRST.split(";")[:-1]
    assert len(made) == 14
    with closing(sqlite3.connect(place)) as connection:
        connection.executescript(";".join(made[:statements]))
    with closing(Store(place)) as store:
        assert store.add([EVENTS[0][1]]).result() == Kept([EVENTS[0][1]])
        assert [row[0] for row in applied(store)] == list(range(1, VERSION + 1))


def test_a_store_that_has_lost_a_table_is_refused_by_name(tmp_path: Path) -> None:
    place = tmp_path / "s.sqlite"
    with closing(Store(place)) as store:
        store.submit(lambda connection: connection.execute("DROP TABLE forgotten")).result()
    with pytest.raises(StoreError, match=r"damaged \(it has no forgotten, forgotten_by_time\).*a backup"):
        Store(place)
