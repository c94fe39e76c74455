"""One service per store: the second one is refused by name, and a crash leaves no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks.local_servers import Postgres, free_port
from crossaisle.errors import StoreError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.store.postgres import ending, session_lock
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.store import Event, Store
from crossaisle.serve.tenants import ShopConfig, ShopRegistry, read_shops
from tests.serve.conftest import served
from tests.serve.server.test_supervisor import serving as workers_of
from tests.serve.store.test_store_contract import until

LIMIT = 60.0


HASTY = StoreLimits(hold_seconds=0.1)


def test_a_second_service_is_refused_and_told_who_has_the_store(model: Path, place: str | Path) -> None:
    """On PostgreSQL, another host would be let in; not a second shop of the same process."""
    since = "" if "://" in str(place) else ", since 2.* UTC"
    with closing(served(model, place, HASTY)) as service:
        said = f"is served already, by process {os.getpid()} on .*{since}: stop that service first"
        with pytest.raises(StoreError, match=said) as caught:
            served(model, place, HASTY)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(service.store.name)
    served(model, place, HASTY).close()


def test_keys_and_readers_work_beside_a_service(model: Path, place: str | Path) -> None:
    with closing(served(model, place, HASTY)) as service:
        with closing(Store(place)) as beside:
            add_key(beside, "webshop", ["read"])
            beside.add([Event("k", "zoe", "bread", "view", 1.0)]).result()
        assert [event.key for _, event in service.store.events()] == ["k"]
        assert service.store.add([Event("k", "zoe", "bread", "view", 1.0)]).result().fresh == []


@pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a right there")
def test_a_link_is_the_same_store(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "s.sqlite")
    with (
        closing(served(model, tmp_path / "s.sqlite", HASTY)),
        pytest.raises(StoreError, match="is served already"),
    ):
        served(model, tmp_path / "link.sqlite", HASTY)


def test_two_shops_of_one_process_do_not_share_a_store(model: Path, postgres: Postgres) -> None:
    """Written so differently that the file of shops does not show it."""
    other = postgres.url.replace("postgres@", "")
    places = [f"{postgres.url}&schema=once", f"{other}&schema=once&user=postgres&options="]
    shops = ShopRegistry.open(
        {f"shop-{n}": ShopConfig(model=model, store=place) for n, place in enumerate(places)}
    )
    with closing(shops):
        assert list(shops.services) == ["shop-0"]
        assert "is served already" in shops.broken["shop-1"]


def test_a_new_owner_of_the_store_is_told_from_its_first_owner(model: Path, place: str | Path) -> None:
    """As on a file system without locks, or after the database was away."""
    first = Store(place, serving=True)
    holding_of_first, first._holding = first._holding, None
    assert holding_of_first is not None
    holding_of_first.close()
    with closing(first), closing(ShopService.open(model, place)) as second:
        with pytest.raises(StoreError, match="another service has taken the store"):
            first.add([Event("1", "zoe", "bread", "view", 1.0)]).result(20)
        assert first.state == "failing"
        assert len(second.store.add([Event("2", "zoe", "bread", "view", 1.0)]).result().fresh) == 1
        assert [event.key for _, event in second.store.events()] == ["2"]


@pytest.mark.slow
def test_a_lock_of_the_database_is_taken_again(postgres: Postgres) -> None:
    url = f"{postgres.url}&schema=again"
    with closing(Store(url, serving=True)) as store:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'crossaisle%'"
        )
        held = store._holding
        assert isinstance(held, session_lock.SessionHolding)
        until(lambda: held._connection is None or held._connection.raw.closed)  # type: ignore[attr-defined]
        until(lambda: held._connection is not None and not held._connection.raw.closed)  # type: ignore[attr-defined]
        until(lambda: store.up)
        assert len(store.add([Event("1", "zoe", "bread", "view", 1.0)]).result().fresh) == 1
        with pytest.raises(StoreError, match="is served already"):
            Store(url, serving=True)  # the same process, not another host


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
@pytest.mark.parametrize("session", ["lock", "membership"])
def test_the_end_does_not_wait_for_a_database_that_does_not_answer(
    session: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_lock, "PULSE", 0.01)
    monkeypatch.setattr(ending, "ANSWER_SECONDS", 0.2)
    with closing(Store(f"{postgres.url}&schema=silent_{session}", serving=True)) as store:
        engine, held = store.engine, store._holding
        assert isinstance(engine, PostgresEngine)
        assert isinstance(held, session_lock.SessionHolding)
        ends = held if session == "lock" else engine.join(0, WorkerLimits(beat_seconds=0.01))
        assert ends._connection is not None
        backend = ends._connection.raw.info.backend_pid  # type: ignore[attr-defined]
        os.kill(backend, signal.SIGSTOP)
        try:
            time.sleep(0.1)  # a question is on its way
            ends.close()
            assert not ends._thread.is_alive()
        finally:
            os.kill(backend, signal.SIGCONT)


@pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a right there")
def test_shops_with_one_store_are_refused_however_it_is_written(folder: Path) -> None:
    file = folder / "shops.toml"
    Store(folder / "north.sqlite").close()
    (folder / "link.sqlite").symlink_to(folder / "north.sqlite")
    (folder / "hard.sqlite").hardlink_to(folder / "north.sqlite")
    base = "postgresql://shop:secret@{}/main"
    same = [
        ("north.sqlite", str(folder / "north.sqlite")),
        ("north.sqlite", "south/../north.sqlite"),
        ("north.sqlite", "link.sqlite"),
        ("north.sqlite", "hard.sqlite"),
        ("new.sqlite", "./new.sqlite"),
        (base.format("localhost"), base.format("127.0.0.1")),
        (base.format("LOCALHOST:5432"), base.format("[::1]")),
        (base.format("db.example"), base.format("DB.example:5432") + "?schema=public"),
        (base.format("db.example"), "postgres://other@db.example/%6dain"),
        ("postgresql://main@127.0.0.1", "postgresql:///main?host=localhost"),
    ]
    apart = [
        ("north.sqlite", "south.sqlite"),
        (base.format("db.example"), base.format("db2.example")),
        (base.format("localhost") + "?schema=north", base.format("127.0.0.1") + "?schema=south"),
        (base.format("localhost:5432"), base.format("localhost:5433")),
        (base.format("localhost"), "main"),
    ]
    for pairs, refused in ((same, True), (apart, False)):
        for one, other in pairs:
            tables = zip(("north", "south"), (one, other), strict=True)
            file.write_text(
                "".join(f'[{name}]\nmodel = "{name}/models/a"\nstore = "{at}"\n' for name, at in tables)
            )
            try:
                read_shops(file)
                found = ""
            except Exception as error:
                found = str(error)
            assert ("have the same store" in found) == refused, (one, other, found)


# The command


@contextmanager
def serving(model: Path, store: Path, log: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--store", str(store)]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--port", str(port), *more], stdout=out, stderr=out)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait(LIMIT)


def started(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LIMIT
    while not any(word in log.read_text() for word in ("Uvicorn running", "workers serve")):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
@pytest.mark.parametrize("first", [(), ("--workers", "2")], ids=["one", "workers"])
def test_the_command_refuses_to_serve_a_store_twice(
    model: Path, tmp_path: Path, first: tuple[str, ...]
) -> None:
    store, log, other = tmp_path / "s.sqlite", tmp_path / "log", tmp_path / "other"
    with serving(model, store, log, *first) as (process, _):
        started(process, log)
        for second in ((), ("--workers", "2")):
            with serving(model, store, other, *second) as (refused, _):
                assert refused.wait(LIMIT) == 1
                said = other.read_text()
                assert f"is served already, by process {process.pid} on " in said
                assert len(said.strip().splitlines()) == 1, said
        with closing(Store(store)) as beside:  # as `crossaisle keys` opens it
            add_key(beside, "webshop", ["read"])
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
    # Its workers end with it, and while one lives, nobody else is let in.
    with serving(model, store, other, *first) as (again, _):
        started(again, other)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
def test_a_worker_that_is_started_again_serves_from_no_other_store(model: Path, tmp_path: Path) -> None:
    store, other = tmp_path / "s.sqlite", tmp_path / "other.sqlite"
    one = {"user": "zoe", "item": "bread"}
    Store(other).close()
    with workers_of([str(model), "--store", str(store)], tmp_path) as both:
        for worker in (0, 1):
            assert both.ask(worker, "POST", "/api/events", json=one).status_code == 200
        other.replace(store)
        assert both.ask(0, "POST", "/api/events", json=one).status_code == 503
        os.kill(both.pid(1), signal.SIGKILL)
        until(lambda: "another service has taken" in both.log.read_text(), LIMIT)
        assert both.ask(0, "POST", "/api/events", json=one).status_code == 503
        assert both.get(0, "/api/recommend/zoe")["served"] == "for_you"
    for end in ("-wal", "-shm"):  # as docs/operating.md says
        Path(f"{store}{end}").unlink()
    with closing(Store(store)) as untouched:
        assert list(untouched.events()) == []
