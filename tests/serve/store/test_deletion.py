"""A deleted user is in no file and no list, and is not brought back by late or repeated events."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import string
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.sqlite.cleaning import Cleaning
from crossaisle.serve.store.store import Event, Kept, Store
from tests.serve.conftest import events_of, talk

NOW = time.time()


@pytest.fixture
def store(place: str | Path) -> Iterator[Store]:
    with closing(Store(place)) as opened:
        yield opened


@pytest.fixture
def limits() -> StoreLimits:
    return StoreLimits()


@pytest.fixture
def file(tmp_path: Path, limits: StoreLimits) -> Iterator[Store]:
    with closing(Store(tmp_path / "s.sqlite", limits=limits)) as opened:
        yield opened


def with_limits(**limits: float) -> pytest.MarkDecorator:
    """For a test that takes `file`."""
    return pytest.mark.parametrize("limits", [StoreLimits(**limits)], ids=[""])  # type: ignore[arg-type]


def event(n: int, user: str = "ann", time: float = NOW, key: str | None = "") -> Event:
    return Event(f"k{n}" if key == "" else key, user, f"i{n}", "view", time)


def shown(user: str, time: float) -> Exposure:
    return Exposure("x", "a", user, time, ("bread",), (1.0,), 1.0)


def traces(folder: Path, *words: str) -> dict[str, list[str]]:
    """Files that contain one of the words, and which word."""
    found = {one.name: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    hits = {name: [word for word in words if word.encode() in content] for name, content in found.items()}
    return {name: words for name, words in hits.items() if words}


# Files


def test_no_file_of_the_store_holds_a_person_whose_deletion_was_answered(
    service: ShopService, tmp_path: Path
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for n in range(20):
            one = {"user": "person-4711", "item": "bread", "key": f"order-{n}-of-4711"}
            await client.post("/api/events", json=one)
        await client.put("/api/users/person-4711", json={"email": "secret@example.org"})
        others = [{"user": f"o{n}", "item": "jam"} for n in range(3000)]
        await client.post("/api/events", json=others)
        assert traces(tmp_path, "person-4711")
        answer = (await client.delete("/api/users/person-4711")).json()
        assert answer == {"events_deleted": 20, "overwritten": True}
        assert traces(tmp_path, "person-4711", "-of-4711", "secret@example.org") == {}

    talk(service, conversation)


def test_pages_that_were_split_and_joined_hold_no_copies_of_deleted_rows(file: Store, tmp_path: Path) -> None:
    """Overwriting what is deleted (secure_delete) is not enough: about one person in a hundred stays."""
    rng = random.Random(2)

    def word(length: int) -> str:
        return "".join(rng.choices(string.ascii_lowercase, k=length))

    people = [f"p{word(rng.randint(8, 60))}" for _ in range(1500)]
    log, gone = ExperimentLog(file), list[str]()
    for _ in range(12):
        chosen = rng.choices(people, k=1200)
        file.add([Event(f"k-{user}-{word(8)}", user, word(8), "view", NOW) for user in chosen])
        log.add([shown(user, NOW) for user in chosen[:300]])
        for user in chosen[:100]:
            file.put_user(user, {"mail": f"{user}@{word(rng.choice((10, 100, 3000)))}"})
        for _ in range(40):
            gone.append(people.pop(rng.randrange(len(people))))
            last = file.forget(gone[-1])
        last.result()
    assert file.clean().result() is True
    assert traces(tmp_path, *gone) == {}
    assert len(list(file.events())) > 5_000


@with_limits(clean_seconds=0.2)
def test_who_reads_in_the_log_is_waited_for_and_the_answer_says_so(file: Store, tmp_path: Path) -> None:
    file.add([event(1, "ann-4711")]).result()
    with file.reading() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        file.forget("ann-4711").result()
        assert file.clean().result(10) is False
        assert file.add([event(2, "bob")]).result(10).fresh
        assert traces(tmp_path, "ann-4711")
    until(lambda: not traces(tmp_path, "ann-4711"))
    until(lambda: file.clean().result(10))


@with_limits(rows_at_once=10)
def test_long_readings_do_not_hold_the_log(file: Store) -> None:
    file.add([event(n, f"u{n}") for n in range(35)]).result()
    reading = file.events()
    assert next(reading)[1].user == "u0"
    file.forget("u30").result()
    assert file.clean().result(10) is True
    assert [one.user for _, one in reading] == [f"u{n}" for n in range(1, 35) if n != 30]


def test_a_process_that_died_before_it_was_done_is_followed_by_one_that_cleans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, copy = tmp_path / "one" / "s.sqlite", tmp_path / "other"
    with monkeypatch.context() as broken, closing(Store(place)) as store:
        broken.setattr(Cleaning, "attempt", lambda *_: None)
        store.add([event(n, "ann-4711") for n in range(50)]).result()
        store.forget("ann-4711").result()
        shutil.copytree(place.parent, copy)  # as `kill -9` leaves it
        assert traces(copy, "ann-4711")
        broken.undo()
        store.clean().result()
    with closing(Store(copy / "s.sqlite")) as again:
        assert again.clean().result(10) is True
        assert traces(copy, "ann-4711") == {}


@with_limits(clean_seconds=0.3)
def test_what_cannot_be_rewritten_is_told_once_and_tried_again(
    file: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file.add([event(1, "ann-4711")]).result()
    with monkeypatch.context() as full:

        def fails(connection: Any) -> None:
            raise StoreError if connection is None else file.engine.errors[0]("database or disk is full")

        full.setattr(file.engine, "rewrite", fails)
        file.forget("ann-4711").result()
        assert file.clean().result(10) is False
        assert file.add([event(2, "bob")]).result(10).fresh
    until(lambda: file.clean().result(10))
    assert traces(tmp_path, "ann-4711") == {}
    assert caplog.text.count("cannot be overwritten yet (database or disk is full)") == 1


@with_limits(clean_seconds=0.1)
def test_an_answer_does_not_wait_for_a_database_that_is_away(
    file: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.add([event(1, "ann")]).result()
    file.forget("ann").result()
    monkeypatch.setattr(file.engine, "empty_log", lambda _: False)
    asked = file.clean()
    file.close()
    assert asked.result(5) is False


def test_who_asked_and_goes_away_does_not_end_the_writing(
    file: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.add([event(1, "ann")]).result()
    with monkeypatch.context() as read:
        read.setattr(file.engine, "empty_log", lambda _: False)
        file.forget("ann").result()
        file.clean().cancel()
    assert file.clean().result(10) is True
    assert file.add([event(2, "bob")]).result(10).fresh


def test_tables_stay_where_they_begin_when_the_file_is_rewritten(file: Store) -> None:
    """The service looks for its mark in the file while another worker copies the log into it."""

    def roots() -> list[Any]:
        with file.reading() as connection:
            return connection.execute("SELECT name, rootpage FROM sqlite_master ORDER BY name").fetchall()

    before = roots()
    file.add([event(n, f"u{n % 100}") for n in range(5000)]).result()
    file.put_user("u7", {"note": "x" * 9000}).result()
    for n in range(0, 100, 3):
        file.forget(f"u{n}")
    assert file.clean().result(10)
    assert roots() == before


def test_deleting_somebody_unknown_rewrites_nothing(file: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten: list[Any] = []
    monkeypatch.setattr(file.engine, "rewrite", rewritten.append)
    file.add([event(1, "bob")]).result()
    file.forget("nobody").result()
    assert file.clean().result(10) is True
    assert rewritten == []
    assert "nobody" in file.forgotten()


def test_digests_say_nothing_without_the_key_of_the_store(service: ShopService, tmp_path: Path) -> None:
    plain = hashlib.sha256(b"1609").digest()

    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/events", json={"user": "1609", "item": "bread"})
        await client.delete("/api/users/1609")
        audit = (await client.get("/api/audit")).json()
        assert plain.hex()[:16] not in audit[0]["what"]
        assert service.store.digest_of("1609").hex()[:16] in audit[0]["what"]

    talk(service, conversation)
    assert list(service.store.forgotten().times) == [service.store.digest_of("1609")] != [plain]
    with closing(Store(tmp_path / "other.sqlite")) as other:
        assert other.digest_of("1609") != service.store.digest_of("1609")
        key = other.digest_of("1609")
    with closing(Store(tmp_path / "other.sqlite")) as again:
        assert again.digest_of("1609") == key


def test_a_deletion_and_its_line_in_the_audit_log_are_one(store: Store) -> None:
    store.add([event(1), event(2)]).result()
    broken = "ALTER TABLE audit ADD CONSTRAINT nowhere CHECK (who <> 'me')"
    mended = "ALTER TABLE audit DROP CONSTRAINT nowhere"
    if isinstance(store.path, Path):
        broken = "CREATE TRIGGER nowhere BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'nowhere'); END"
        mended = "DROP TRIGGER nowhere"
    store.submit(lambda connection: connection.execute(broken)).result()
    with pytest.raises(StoreError, match="nowhere"):
        store.forget("ann", "me").result()
    assert len(events_of(store, "ann")) == 2
    assert not store.forgotten()
    store.submit(lambda connection: connection.execute(mended)).result()
    store.forget("ann", "me").result()
    (line,) = store.audit()
    digest = store.digest_of("ann").hex()[:16]
    assert (line["who"], line["what"]) == ("me", f"deleted person {digest}, 2 events")


# What comes late or twice


def test_a_replay_does_not_bring_a_deleted_person_back(store: Store) -> None:
    old = [event(n, time=NOW - 86_400.0 + n) for n in range(5)]
    store.add([*old, event(9, "bob")]).result()
    deleted = store.forget("ann").result()
    assert deleted.events == 5
    assert deleted.time >= NOW
    again = store.add([old[0], event(9, "bob"), event(10, "bob", NOW - 9e5), *old[1:]]).result()
    assert again == Kept([event(10, "bob", NOW - 9e5)], 5)
    new = event(11, time=deleted.time + 0.001)
    assert store.add([event(12, time=deleted.time), new]).result() == Kept([new], 1)
    assert events_of(store, "ann") == [new]


def test_a_clock_that_is_ahead_does_not_bring_events_back(store: Store) -> None:
    ahead = event(1, time=time.time() + 3600.0)
    store.add([ahead]).result()
    deleted = store.forget("ann").result()
    assert deleted.time == ahead.time
    assert store.add([ahead]).result() == Kept([], 1)
    again = store.forget("ann").result().time
    assert deleted.time < again < deleted.time + 1e-3, "it does not go back either"


def test_the_answer_and_the_metrics_say_how_many_were_not_kept(service: ShopService) -> None:
    old = {"user": "zoe", "item": "bread", "key": "k", "time": NOW - 86_400.0}

    async def conversation(client: httpx.AsyncClient) -> None:
        async def counted(body: Any, **more: Any) -> Any:
            return (await client.post("/api/events", **more, **({"json": body} if body else {}))).json()

        assert await counted(old) == {"accepted": 1, "duplicates": 0}
        await client.delete("/api/users/zoe")
        assert await counted(old) == {"accepted": 0, "duplicates": 0, "forgotten": 1}
        now = {"user": "zoe", "item": "jam"}
        assert await counted([old, now]) == {"accepted": 1, "duplicates": 0, "forgotten": 1}
        lines = '{"user": "zoe", "item": "bread", "time": 5}\n'
        stream = {"content": lines, "headers": {"content-type": "application/x-ndjson"}}
        found = await counted(None, **stream)
        assert found == {"accepted": 0, "duplicates": 0, "forgotten": 1, "refused": 0, "errors": []}
        assert "crossaisle_forgotten_events_total 3\n" in (await client.get("/metrics")).text
        assert [e["item"] for e in (await client.get("/api/users/zoe")).json()["events"]] == ["jam"]

    talk(service, conversation)
    assert service.live.of("zoe").items == ("jam",)


# At the same time


def test_store_and_memory_agree_whatever_comes_while_a_person_is_deleted(service: ShopService) -> None:
    async def run() -> None:
        for n in range(30):
            user = f"u{n}"

            async def send(user: str = user) -> None:
                for _ in range(6):
                    await service.add_events([Event(None, user, "bread", "view", time.time())])

            async def forget(user: str = user) -> None:
                await asyncio.sleep(0.002)
                await service.forget(user)

            await asyncio.gather(send(), send(), send(), forget())
            kept = events_of(service.store, user)
            assert len(service.live.of(user).items) == len(kept), f"round {n}"
            pairs = service.live.trends.pairs()
            counted = set(pairs.user.tolist())
            assert (service.live.trends.users.get(user) in counted) == bool(kept), f"round {n}"

    asyncio.run(run())


@pytest.mark.parametrize("arms", [2, 1])
def test_a_list_under_way_while_its_person_is_deleted_is_not_logged(
    service: ShopService, arms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body: dict[str, Any] = {"name": "ab", "arms": [{"name": "a"}, {"name": "b"}]}
    if arms == 1:
        body |= {"kind": "interleaving", "arms": [{"name": "a"}, {"name": "b", "model": "b"}]}
    go_on = asyncio.Event()
    ask = service.batcher.ask

    async def slow(*asked: Any) -> Any:
        found = await ask(*asked)
        if not go_on.is_set():
            await go_on.wait()
        return found

    async def conversation(client: httpx.AsyncClient) -> None:
        made = await client.post("/api/experiments", json=body)
        assert made.status_code == 201, made.text
        monkeypatch.setattr(service.batcher, "ask", slow)
        under_way = [asyncio.ensure_future(client.get(f"/api/recommend/ann?n={n}")) for n in range(1, 8)]
        await asyncio.sleep(0.05)
        await client.delete("/api/users/ann")
        go_on.set()
        assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {200}
        await service.experiments.written()
        assert service.experiments.log.exposures_of("ann") == []
        assert "ann" not in service.experiments.users()
        await client.get("/api/recommend/ann?n=3")  # as of a new person
        await service.experiments.written()
        assert len(service.experiments.log.exposures_of("ann")) == 1

    talk(service, conversation)


def test_exposures_that_wait_to_be_written_are_not_written_after_a_deletion(store: Store) -> None:
    log = ExperimentLog(store)
    log.add([shown("ann", NOW)])
    store.forget("ann").result()
    log.add([shown("ann", NOW), shown("bob", NOW)]).result()
    later = shown("ann", time.time())
    log.add([later]).result()
    assert [one for _, one in log.exposures_of("ann")] == [later]
    assert [one for _, one in log.exposures_of("bob")] == [shown("bob", NOW)]


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
