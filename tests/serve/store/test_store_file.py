"""The store's file while it is served: gone, replaced, overwritten; and files that are no stores."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import Keys, add_key
from crossaisle.serve.store.migrations import m0001_tables
from crossaisle.serve.store.schema import COLUMNS
from crossaisle.serve.store.sqlite.store_file import StoreFile
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import events_of, served, talk

ENDS = ("", "-wal", "-shm")
ONE = {"user": "zoe", "item": "bread"}


BRISK = StoreLimits(pulse_seconds=0.1, calm_seconds=0.2)
"""Looks at the store more often, so that nobody waits for a test."""


@pytest.fixture
def service(model: Path, tmp_path: Path) -> Iterator[ShopService]:
    with closing(served(model, tmp_path / "store.sqlite", BRISK, model.parent)) as opened:
        yield opened


def beside(path: Path) -> list[Path]:
    """A store and the files beside it."""
    return [Path(f"{path}{end}") for end in ENDS]


def moved(path: Path, to: Path) -> None:
    for one, other in zip(beside(path), beside(to), strict=True):
        if one.exists():
            one.rename(other)


def backup(path: Path, to: Path) -> None:
    with closing(sqlite3.connect(path)) as store, closing(sqlite3.connect(to)) as copy:
        store.backup(copy)


async def state(client: httpx.AsyncClient, wanted: str, seconds: float = 20.0) -> None:
    """Waits until health and metrics say so."""
    end = time.monotonic() + seconds
    while True:
        answer = (await client.get("/api/health/ready")).json()
        if answer["store"] == wanted:
            break
        assert time.monotonic() < end, answer
        await asyncio.sleep(0.05)
    up = f"crossaisle_store_up {int(wanted == 'up')}"
    assert up in (await client.get("/metrics")).text


async def send(client: httpx.AsyncClient, **more: str) -> int:
    return (await client.post("/api/events", json={**ONE, **more})).status_code


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


def removed(path: Path) -> None:
    for one in beside(path):
        one.unlink(missing_ok=True)


def replaced(path: Path) -> None:
    other = path.with_name("other.sqlite")
    Store(other).close()
    other.replace(path)


def overwritten(path: Path) -> None:
    other = path.with_name("other.sqlite")
    with closing(Store(other)) as store:
        store.add([Event(None, "strange", "bread", "view", 1.0)]).result()
    path.write_bytes(other.read_bytes())


def overwritten_by_an_older_self(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    backup(path, copy)
    with closing(sqlite3.connect(copy)) as older:
        older.execute("UPDATE service SET run = 'an earlier one'")
        older.commit()
    path.write_bytes(copy.read_bytes())


def restored_through_sqlite(path: Path) -> None:
    other = path.with_name("other.sqlite")
    Store(other).close()
    backup(other, path)


LOSSES = [removed, replaced, overwritten, overwritten_by_an_older_self, restored_through_sqlite]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can be neither deleted nor replaced there")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_store_that_is_lost_acknowledges_nothing_and_says_so(
    service: ShopService, loss: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(service.store.path)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client) == 200
        await state(client, "up")
        loss(path)
        refused = await client.post("/api/events", json=ONE)
        assert refused.status_code == 503, refused.text
        assert refused.headers["retry-after"]
        assert (await client.put("/api/items/rye", json={"title": "Rye"})).status_code == 503
        await state(client, "failing")
        for path_read in ("/api/users/zoe", "/api/audit"):
            assert (await client.get(path_read)).status_code == 503, path_read
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert [await send(client) for _ in range(5)] == [503] * 5

    talk(service, conversation)
    assert service.live.of("zoe").items == ("bread",)
    (line,) = errors(caplog)
    assert str(path) in line
    assert "start" in line


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can be neither deleted nor replaced there")
def test_health_tells_of_a_loss_although_nobody_writes(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await state(client, "up")
        removed(Path(service.store.path))
        await state(client, "failing")

    talk(service, conversation)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
def test_a_file_that_is_moved_back_is_served_again(service: ShopService) -> None:
    path, away = Path(service.store.path), Path(service.store.path).with_name("away.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client, key="1") == 200
        moved(path, away)
        assert await send(client, key="2") == 503
        await state(client, "failing")
        moved(away, path)
        await state(client, "up")
        assert await send(client, key="2") == 200
        assert (await client.get("/api/users/zoe")).status_code == 200

    talk(service, conversation)
    with closing(Store(path)) as store:
        assert [event.key for _, event in store.events()] == ["1", "2"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_the_log_beside_it_is_part_of_the_store(service: ShopService, tmp_path: Path) -> None:
    """If only the log is deleted, all seems to go on, but nothing outlives the process."""
    path = Path(service.store.path)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client, key="1") == 200
        Path(f"{path}-wal").unlink()
        assert await send(client, key="2") == 503

    talk(service, conversation)
    service.close()
    with closing(Store(path)) as store:  # as the line in the log promises
        assert [event.key for _, event in store.events()] == ["1"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_behind_a_link_log_and_index_are_found_beside_the_file_itself(model: Path, tmp_path: Path) -> None:
    path, link = tmp_path / "disk" / "s.sqlite", tmp_path / "link.sqlite"
    path.parent.mkdir()
    link.symlink_to(path)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client, key="1") == 200
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in beside(path)}
        assert modes == dict.fromkeys(("s.sqlite", "s.sqlite-wal", "s.sqlite-shm"), 0o600)
        assert not StoreFile(link).whole()
        Path(f"{path}-wal").unlink()
        assert await send(client, key="2") == 503

    with closing(served(model, link, BRISK)) as service:
        talk(service, conversation)
    with closing(Store(path)) as store:
        assert [event.key for _, event in store.events()] == ["1"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_keys_of_a_file_put_in_its_place_open_nothing(tmp_path: Path, model: Path) -> None:
    path, other = tmp_path / "s.sqlite", tmp_path / "other.sqlite"
    with closing(Store(path)) as store:
        token = add_key(store, "operator", ["admin"])
    with closing(Store(other)) as store:
        foreign = add_key(store, "stranger", ["admin"])
    with closing(served(model, path, BRISK)) as service:
        keys = Keys(service.store)
        other.replace(path)
        with pytest.raises(StoreError, match="another file"):
            keys.read()
        assert keys.find(token) is not None
        assert keys.find(foreign) is None


def test_a_backup_taken_while_it_runs_disturbs_nothing(service: ShopService, tmp_path: Path) -> None:
    def written(n: int) -> None:
        service.store.add([Event(f"{n}-{i}", "u" * 200, "i", "view", 1.0) for i in range(500)]).result()

    for n in range(20):  # enough for SQLite to copy its log into the file, several times
        written(n)
        if n % 7 == 3:
            backup(Path(service.store.path), tmp_path / f"copy-{n}.sqlite")
            with closing(Store(service.store.path)) as beside:
                add_key(beside, f"key-{n}", ["read"])
    assert service.store.up
    assert sum(1 for _ in service.store.events()) == 10_000


def test_a_file_that_is_rewritten_is_the_same_store(service: ShopService) -> None:
    """`VACUUM` moves everything, the mark too, while others look for it."""
    store, end = service.store, threading.Event()

    def rewrite() -> None:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            while not end.is_set():
                with suppress(sqlite3.OperationalError):  # somebody writes just now
                    other.execute("VACUUM")
                    other.execute("PRAGMA wal_checkpoint(PASSIVE)")

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for n in range(60):
            store.add([Event(f"{n}-{i}", f"u{n}", "i" * 200, "view", 1.0) for i in range(50)]).result()
            assert len(events_of(store, f"u{n}")) == 50
            if n % 3 == 0:
                store.forget(f"u{n}").result()
    finally:
        end.set()
        thread.join()
    assert store.up


def test_a_log_of_which_half_was_copied_is_no_damage(
    service: ShopService, tmp_path: Path, model: Path
) -> None:
    """As a full disk leaves it: the first page is new, and tells of pages that are in the log only."""
    path = Path(service.store.path)
    for n in range(3):
        service.store.add([Event(f"{n}-{i}", "u" * 200, "i", "view", 1.0) for i in range(300)]).result()
    backup(path, tmp_path / "whole.sqlite")
    half = tmp_path / "half" / "s.sqlite"
    half.parent.mkdir()
    for one, other in zip(beside(path), beside(half), strict=True):
        shutil.copy(one, other)
    first = (tmp_path / "whole.sqlite").read_bytes()[:4096]

    def half_copied(file: Path) -> None:
        with file.open("r+b") as out:
            out.write(first)

    half_copied(half)
    with closing(served(model, half, BRISK)) as again:
        assert sum(1 for _ in again.store.events()) == 900
    with closing(sqlite3.connect(path)) as reader:  # keeps SQLite from copying more than that
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        half_copied(path)
        assert len(service.store.add([Event("new", "u", "i", "view", 1.0)]).result().fresh) == 1


# What is no store


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]


FOREIGN = {
    "tables of its own": "CREATE TABLE bookkeeping (x); INSERT INTO bookkeeping VALUES (1);",
    "a table with the same name": "CREATE TABLE events (x);",
    "another application": "PRAGMA application_id=7;",
    "another application with our tables": "PRAGMA application_id=7; CREATE TABLE items (id, body);",
}


@pytest.mark.parametrize("sql", FOREIGN.values(), ids=FOREIGN)
def test_the_database_of_another_program_is_refused_and_not_touched(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"of another program.*name another file") as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_one_in_use_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE bookkeeping (x);")
        with pytest.raises(StoreError, match="bookkeeping"):
            Store(path)
        assert connection.execute("SELECT count(*) FROM bookkeeping").fetchone() == (0,)


@pytest.mark.parametrize("content", [b"no database" * 100, b"%PDF-1.7\n", b"x"])
def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a database"):
        Store(path)
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_place_that_keeps_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"journal mode 'memory'.*local disk"):
        Store(":memory:")


def test_a_store_of_before_is_known_by_its_tables(tmp_path: Path) -> None:
    path, new = tmp_path / "s.sqlite", tmp_path / "new.sqlite"
    Store(new).close()
    with closing(sqlite3.connect(new)) as one:
        assert one.execute("PRAGMA application_id").fetchone() != (0,)
    with closing(sqlite3.connect(path)) as old:
        # As version 1 left it, and with a table of the operator's own.
        old.executescript(f"{m0001_tables.SQLITE} CREATE TABLE notes (x); PRAGMA user_version=1;")
        row = Event("k", "zoe", "bread", "view", 1.0)
        old.execute(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        old.commit()
    with closing(Store(path)) as store:
        assert [event.key for _, event in store.events()] == ["k"]
    with closing(sqlite3.connect(path)) as now:
        assert now.execute("PRAGMA application_id").fetchone() != (0,)
        assert now.execute("SELECT count(*) FROM notes").fetchone() == (0,)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such warnings there")
def test_a_log_left_beside_a_restored_backup_is_told_of(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, killed = tmp_path / "s.sqlite", tmp_path / "killed.sqlite"
    with closing(Store(path)) as store:
        store.add([Event("1", "zoe", "bread", "view", 1.0)]).result()
        for one, other in zip(beside(path), beside(killed), strict=True):
            shutil.copyfile(one, other)  # as `kill -9` leaves them
    written = Path(f"{killed}-wal").stat().st_mtime
    for later, told in ((1, False), (3600, True)):
        os.utime(killed, (written + later, written + later))
        StoreFile(killed).warn()
        assert ("stop the service, put the backup there again" in caplog.text) == told
    caplog.clear()
    with closing(served(model, killed, BRISK)) as service:
        assert "stop the service, put the backup there again" in caplog.text
        assert [event.key for _, event in service.store.events()] == ["1"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes there")
def test_what_is_made_is_for_its_owner_only(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(ShopService.open(model, tmp_path / "s.sqlite")) as service:
        service.store.add([Event(None, "zoe", "bread", "view", 1.0)]).result()
        found = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("s.sqlite*")}
        assert found == dict.fromkeys(("s.sqlite", "s.sqlite-wal", "s.sqlite-shm", "s.sqlite.lock"), 0o600)
    with closing(Store(tmp_path / "t.sqlite")):  # as `keys add` makes it
        assert stat.S_IMODE((tmp_path / "t.sqlite").stat().st_mode) == 0o600
    old = tmp_path / "old.sqlite"
    shutil.copy(tmp_path / "s.sqlite", old)
    for mode in (0o640, 0o644):  # as the operator wants it; of the second one he is told
        old.chmod(mode)
        assert "chmod 600" not in caplog.text
        with closing(served(model, old, BRISK)):
            assert stat.S_IMODE(old.stat().st_mode) == mode
    assert f"{old}: every user of this machine may open it: chmod 600" in caplog.text
