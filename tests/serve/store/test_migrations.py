"""A store that an older crossaisle wrote becomes one of this version, on both engines."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.local_servers import Postgres
from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.schema import VERSION
from crossaisle.serve.store.store import Event, Kept, Store

FIRST = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    value REAL,
    quantity REAL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_user ON events ("user");
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_keys (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exposures (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX IF NOT EXISTS exposures_by_user ON exposures ("user");
CREATE TABLE IF NOT EXISTS changes (
    what TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (what, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_seq ON changes (seq);
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
"""
"""Version 1."""
PLAIN = hashlib.sha256(b"ann").digest()
HERE = Path(__file__).parent
KEPT = Event("k1", "bob", "bread", "view", 1000.0)


def written(dialect: str) -> str:
    """A store that an earlier version has written, as statements."""
    return (HERE / f"written_by_7b87d98.{dialect}.sql").read_text(encoding="utf-8")


def _connected(place: str | Path) -> SqlConnection:
    if isinstance(place, Path):
        return sqlite3.connect(place, isolation_level=None)
    return PostgresEngine(place).open()


@pytest.fixture
def first(place: str | Path) -> str | Path:
    """A store of version 1, in which somebody was deleted."""
    with closing(_connected(place)) as connection:
        tables = FIRST
        if isinstance(place, str):
            tables = ";".join(one for one in written("postgres").split(";\n") if "CREATE " in one)
            connection.execute(f'CREATE SCHEMA "{place.partition("schema=")[2]}"')
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA user_version=1")
        for statement in filter(None, map(str.strip, tables.split(";"))):
            connection.execute(statement)
        if isinstance(place, str):
            connection.execute("INSERT INTO store_version VALUES (1)")
        row = KEPT[:5]
        connection.execute('INSERT INTO events (key, "user", item, kind, time) VALUES (?, ?, ?, ?, ?)', row)
        connection.execute("INSERT INTO forgotten (digest) VALUES (?)", (PLAIN,))
        for what in (f"deleted person {PLAIN.hex()[:16]}, 3 events", "deleted item bread"):
            connection.execute("INSERT INTO audit (time, who, what) VALUES (?, ?, ?)", (5.0, "me", what))
        change = "forgotten", PLAIN.hex(), 1, ""
        connection.execute("INSERT INTO changes (what, name, seq, body) VALUES (?, ?, ?, ?)", change)
    return place


def version_of(place: str | Path) -> int:
    query = "PRAGMA user_version" if isinstance(place, Path) else "SELECT max(version) FROM store_version"
    with closing(_connected(place)) as connection:
        return int(connection.execute(query).fetchone()[0])


def test_a_store_of_version_1_goes_on_as_one_of_this_version(first: str | Path) -> None:
    with closing(Store(first)) as store:
        assert [event for _, event in store.events()] == [KEPT]
        forgotten = store.forgotten()
        assert "ann" in forgotten
        assert "bob" not in forgotten
        assert store.add([KEPT._replace(key="k2", user="ann")]).result() == Kept([], 1), "not brought back"
        assert store.add([KEPT]).result() == Kept([])
        store.clean().result()
    assert version_of(first) == VERSION
    with closing(Store(first)) as again:
        assert again.forgotten().times == forgotten.times
        assert "ann" in again.forgotten()


def test_digests_without_a_key_are_in_no_table_and_no_file_afterwards(first: str | Path) -> None:
    with closing(Store(first)) as store:
        digest = store.digest_of("ann")
        assert list(store.forgotten().times) == [digest]
        lines = [line["what"] for line in store.audit()]
        assert lines == ["deleted item bread", f"deleted person {digest.hex()[:16]}, 3 events"]
        with store.reading() as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone()[0] == 0
        if isinstance(first, Path):
            assert store.clean().result(10)
            for file in first.parent.iterdir():
                assert PLAIN not in file.read_bytes()
                assert PLAIN.hex()[:16].encode() not in file.read_bytes()


def test_a_move_that_fails_leaves_the_old_store(first: str | Path) -> None:
    with closing(_connected(first)) as connection:  # the last table that is looked at
        connection.execute("ALTER TABLE changes RENAME COLUMN what TO elsewhere")
    with pytest.raises((StoreError, sqlite3.OperationalError)):
        Store(first)
    assert version_of(first) == 1
    with closing(_connected(first)) as connection:
        connection.execute("ALTER TABLE changes RENAME COLUMN elsewhere TO what")
    with closing(Store(first)) as store:
        assert "ann" in store.forgotten()
    assert version_of(first) == VERSION


def test_a_newer_store_is_refused_by_name(place: str | Path, postgres: Postgres) -> None:
    Store(place).close()
    with closing(_connected(place)) as connection:
        newer = VERSION + 1
        if isinstance(place, Path):
            connection.execute(f"PRAGMA user_version={newer}")
        else:
            connection.execute(f"INSERT INTO store_version VALUES ({newer})")
    with pytest.raises(StoreError, match=rf"written by a newer crossaisle \(store version {newer}\): update"):
        Store(place)
