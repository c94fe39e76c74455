"""Stores that cannot be written or read: one line in the log, health says so, and it heals by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import served, talk
from tests.serve.server.test_supervisor import Workers, serving
from tests.serve.store.test_store_contract import until
from tests.serve.store.test_store_file import BRISK, ENDS, errors, send, state


@pytest.fixture
def service(model: Path, tmp_path: Path) -> Iterator[ShopService]:
    with closing(served(model, tmp_path / "store.sqlite", BRISK, model.parent)) as opened:
        yield opened


class Disk:
    """A small file system in the memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, *options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self) -> None:
        with suppress(OSError), (self.folder / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.folder / "fill").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = Disk(folder)
    try:
        made.mount("size=1500k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a file system of its own")
    yield made
    subprocess.run(["umount", "-l", str(folder)], check=False)


def batch(n: int) -> list[dict[str, Any]]:
    return [{"user": "u" * 200, "item": "bread", "key": f"{n}-{i}"} for i in range(50)]


def test_a_full_disk_is_logged_once_shown_in_health_and_heals(
    disk: Disk, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client) == 200
        disk.fill()
        statuses = [(await client.post("/api/events", json=batch(n))).status_code for n in range(200)]
        assert statuses[-1] == 503
        await state(client, "failing", 0.0)
        (line,) = errors(caplog)
        assert "the disk is full: make space on it" in line
        assert (await client.get("/api/recommend/ann")).status_code == 200
        disk.empty()
        await state(client, "up")  # though nobody writes
        assert "writing works again" in caplog.text
        assert (await client.post("/api/events", json=batch(199))).json()["accepted"] == 50

    with closing(served(model, disk.folder / "s.sqlite", BRISK)) as service:
        talk(service, conversation)


@pytest.mark.parametrize("killed", [True, False], ids=["after a crash", "after a stop"])
@pytest.mark.parametrize("why", ["full", "read-only"])
def test_a_store_that_cannot_be_written_is_served_to_readers(
    disk: Disk, model: Path, tmp_path: Path, why: str, killed: bool
) -> None:
    store = disk.folder / "s.sqlite"
    with closing(served(model, store, BRISK)) as service:
        service.store.add([Event("1", "zoe", "bread", "view", 1.0)]).result()
        if killed:  # what lies on the disk while it runs
            for end in ENDS:
                shutil.copy(f"{store}{end}", tmp_path / f"left{end}")
    for end in ENDS if killed else ():
        shutil.copy(tmp_path / f"left{end}", f"{store}{end}")
    if why == "full":
        disk.fill()
    else:
        disk.mount("remount", "ro")

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert len((await client.get("/api/users/zoe")).json()["events"]) == 1
        for n in range(100):  # a log that is there already has room for some
            if (answer := await client.post("/api/events", json=batch(n))).status_code == 503:
                break
        assert answer.status_code == 503
        await state(client, "failing", 0.0)
        if why == "full":
            disk.empty()
        else:
            disk.mount("remount", "rw")
        await state(client, "up")
        assert await send(client, key="2") == 200

    with closing(served(model, store, BRISK)) as service:
        talk(service, conversation)
    with closing(Store(store)) as later:
        assert {"1", "2"} <= {event.key for _, event in later.events()}


def test_a_store_whose_version_cannot_be_recorded_is_served_to_readers(disk: Disk, model: Path) -> None:
    """One from before versions were recorded, on a full disk."""
    store = disk.folder / "s.sqlite"
    with closing(Store(store)) as old:
        old.add([Event("1", "zoe", "bread", "view", 1.0)]).result()
        old.submit(lambda connection: connection.execute("DROP TABLE store_version")).result()
    disk.fill()

    async def conversation(client: httpx.AsyncClient) -> None:
        assert len((await client.get("/api/users/zoe")).json()["events"]) == 1
        await state(client, "failing", 0.0)
        disk.empty()
        await state(client, "up")
        assert await send(client, key="2") == 200

    with closing(served(model, store, BRISK)) as service:
        talk(service, conversation)


def test_a_store_that_another_process_locks_is_shown_in_health_and_heals(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "s.sqlite"

    async def conversation(client: httpx.AsyncClient) -> None:
        assert await send(client) == 200
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            refused = asyncio.create_task(send(client))
            await asyncio.to_thread(until, lambda: bool(errors(caplog)))
            assert not refused.done()  # it is told while they wait
            await state(client, "failing", 0.0)
            assert await refused == 503
            other.execute("ROLLBACK")
        await state(client, "up")
        assert await send(client) == 200
        (line,) = errors(caplog)
        assert "another process holds the file" in line

    with closing(served(model, place, replace(BRISK, turn_seconds=1.5, turn_ms=300))) as service:
        talk(service, conversation)


def filled(path: Path, batches: int = 4) -> None:
    with closing(Store(path)) as store:
        for n in range(batches):
            events = [Event(f"{n}-{i}", f"u{i % 97}", "bread", "view", float(i)) for i in range(2000)]
            store.add(events).result()


@pytest.mark.parametrize("where", [1, 2, 3, 5, 8])
def test_a_damaged_store_is_not_served(tmp_path: Path, model: Path, where: int) -> None:
    path = tmp_path / "s.sqlite"
    filled(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * where // 9 // 4096 * 4096)
        file.write(os.urandom(4096))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"damaged \(.*restore a backup") as caught:
        ShopService.open(model, path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_large_store_is_examined_while_it_is_served(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = replace(BRISK, examined_bytes=1000)
    path = tmp_path / "s.sqlite"
    filled(path)
    with closing(served(model, path, limits)) as service:
        assert service.store._examining is not None
        service.store._examining.join(20)
        assert service.store.state == "up"
    with path.open("r+b") as file:  # a page of an index that no start reads
        with closing(sqlite3.connect(path)) as connection:
            (page,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_events_1'"
            ).fetchone()
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    with (
        closing(Store(path, run="r", serving=True, limits=limits).handed_over()),
        closing(Store(path, run="r", limits=limits)) as store,  # as a worker does
    ):
        until(lambda: store.state == "failing")
        with pytest.raises(StoreError, match="takes no writes"):
            store.add([Event("new", "zoe", "bread", "view", 1.0)])
    assert "the store is damaged" in errors(caplog)[-1]
    caplog.clear()
    with closing(served(model, path, limits)) as service:
        until(lambda: service.store.state == "failing")
        (line,) = errors(caplog)
        assert "the store is damaged" in line
        with pytest.raises(StoreError, match="takes no writes"):
            service.store.add([Event("new", "zoe", "bread", "view", 1.0)])


@pytest.mark.skipif(sys.platform == "win32", reason="an open file is locked there")
def test_pages_damaged_while_it_is_served_end_the_writing(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 20)  # more than SQLite keeps in memory

    async def conversation(client: httpx.AsyncClient) -> None:
        pages = path.stat().st_size // 4096
        with path.open("r+b") as file:
            file.seek(pages // 4 * 4096)
            file.write(os.urandom(pages // 2 * 4096))
        statuses = [await send(client, key=f"{n % 20}-{n * 97 % 2000}") for n in range(60)]
        first = statuses.index(503)
        assert set(statuses[first:]) == {503}
        await state(client, "failing", 0.0)
        (line,) = errors(caplog)
        assert "restore a backup" in line
        assert (await client.get("/api/recommend/ann")).status_code == 200

    with closing(served(model, path, BRISK)) as service:
        talk(service, conversation)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file is locked there")
def test_pages_damaged_while_nobody_looks_at_them_are_found(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 20)
    with closing(served(model, path, BRISK)) as service:
        with path.open("r+b") as file, closing(sqlite3.connect(path)) as connection:
            query = "SELECT rootpage FROM sqlite_master WHERE name = 'exposures_by_user'"
            (page,) = connection.execute(query).fetchone()
            file.seek((page - 1) * 4096)
            file.write(os.urandom(4096))
        until(lambda: service.store.state == "failing")
        (line,) = errors(caplog)
        assert "the store is damaged" in line


def test_an_error_of_a_statement_says_nothing_about_the_store(
    service: ShopService, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        service.store.submit(lambda c: c.execute("INSERT INTO nowhere (a) VALUES (1)")).result()
    assert service.store.up
    assert not errors(caplog)


def well(both: Workers, worker: int) -> bool:
    return bool(both.get(worker, "/api/health/ready")["store"] == "up")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
def test_workers_start_on_a_full_disk_too(disk: Disk, model: Path, tmp_path: Path) -> None:
    store = disk.folder / "s.sqlite"
    ShopService.open(model, store).close()
    disk.fill()
    with serving([str(model), "--store", str(store)], tmp_path) as both:
        for worker in (0, 1):
            assert both.get(worker, "/api/recommend/ann")["served"] == "for_you"
            assert both.get(worker, "/api/health/ready")["store"] == "failing"
            assert both.ask(worker, "POST", "/api/events", json=batch(0)).status_code == 503
        disk.empty()
        for worker in (0, 1):
            until(partial(well, both, worker))
            assert both.ask(worker, "POST", "/api/events", json=batch(worker)).status_code == 200
