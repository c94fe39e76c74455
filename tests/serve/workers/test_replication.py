"""How one worker takes in what another wrote, on both engines, two of them in one process."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.errors import ConflictError, StoreError
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.store import Busy, Event, Store
from crossaisle.serve.workers.memory import ShopMemory
from crossaisle.serve.workers.replication import Replica, ReplicaStart
from crossaisle.serve.workers.shared_state import READ, SERVING, SharedState, WorkerSlot
from tests.serve.conftest import talk
from tests.serve.store.test_deletion import traces

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")


def event(user: str, item: str = "bread", n: int = 0) -> Event:
    return Event(None, user, item, "view", 1_700_000_000.0 + n)


@pytest.fixture
def limits() -> WorkerLimits:
    return WorkerLimits()


@pytest.fixture
def shared(limits: WorkerLimits) -> SharedState:
    return SharedState.create([""], 2, limits=limits)


@pytest.fixture
def pair(
    model: Path, place: str | Path, shared: SharedState, limits: WorkerLimits
) -> Iterator[tuple[ShopService, ShopService]]:
    with ExitStack() as stack:
        stack.enter_context(closing(Store(place, run="r", serving=True).handed_over()))
        one, other = (
            ShopService.open(
                model,
                place,
                model.parent,
                slot=shared.slot("", number),
                run="r",
                limits=ServingLimits(workers=limits),
            )
            for number in (0, 1)
        )
        for service in (one, other):
            stack.enter_context(closing(service))
        yield one, other


def replica(service: ShopService) -> Replica:
    assert service.replica is not None
    return service.replica


def test_numbers_grow_in_the_order_of_commits(place: str | Path, shared: SharedState) -> None:
    """A number read after a higher one would be skipped forever."""
    with (
        closing(Store(place, shared.slot("", 0))) as one,
        closing(Store(place, shared.slot("", 1))) as other,
    ):
        drawn, go_on = threading.Event(), threading.Event()

        def slow(connection: SqlConnection) -> None:
            one.engine.insert(connection, [event("slow")])
            drawn.set()
            assert go_on.wait(10)

        first = one.submit(slow)
        assert drawn.wait(10)
        second = other.add([event("quick")])
        time.sleep(0.3)
        passed = second.done()
        go_on.set()
        second.result(10)
        first.result(10)
        assert not passed, "a higher number was there before a lower one"
        assert [e.user for _, e in other.events()] == ["slow", "quick"]


def test_events_of_both_count_once_and_in_the_same_order(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair

    async def run() -> None:
        await asyncio.gather(
            *(pair[n % 2].add_events([event("zoe", item)]) for n, item in enumerate(["bread", "jam"] * 10))
        )
        for service in pair:
            await replica(service).catch_up()

    asyncio.run(run())
    assert len(one.live.of("zoe").items) == 20
    assert one.live.of("zoe") == other.live.of("zoe")
    assert list(one.memory.latest) == list(other.memory.latest)


def test_an_event_that_was_taken_back_is_gone_in_every_worker(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair
    kept, wrong = (event("zoe", item)._replace(key=item) for item in ("bread", "jam"))

    async def run() -> None:
        await one.add_events([kept, wrong])
        await replica(other).catch_up()
        assert other.live.of("zoe").items == ("bread", "jam")
        gone = asyncio.create_task(one.withdraw("jam"))
        while not gone.done():
            await replica(other).catch_up()
            await asyncio.sleep(0.01)
        assert (await gone).events == 1
        await replica(other).catch_up()  # as before each request: without a server it is not waited for

    asyncio.run(run())
    for service in pair:
        assert service.live.of("zoe").items == ("bread",)
        assert [one.item for one in service.memory.latest] == ["bread"]


def test_a_large_import_elsewhere_is_read_in_portions(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair
    portion = WorkerLimits().max_events_read

    async def run() -> None:
        await one.add_events([event(f"u{n % 7}", n=n) for n in range(2 * portion + 5)])
        await replica(other).catch_up()

    asyncio.run(run())
    assert sum(len(other.live.of(f"u{n}").items) for n in range(7)) == 2 * portion + 5


def test_what_a_forgotten_person_did_since_counts_whenever_it_is_read(
    pair: tuple[ShopService, ShopService], model: Path, place: str | Path
) -> None:
    one, other = pair

    async def run() -> None:
        await one.add_events([event("zoe"), event("ann")])
        await replica(other).catch_up()
        assert other.live.of("zoe").items == ("bread",)
        late = Store(place, replica(one).slot)
        starting = ReplicaStart.read(late, replica(one).slot, "r")
        await one.forget("zoe")
        await one.forget("ann")
        await one.add_events([event("zoe", "jam")._replace(time=time.time())])
        await replica(other).catch_up()
        # One that read its numbers before, and everything else after.
        third = ShopService.assemble(late, Recommender.load(model), model, start=starting)
        await replica(third).catch_up()
        for service in (one, other, third):
            assert service.live.of("zoe").items == ("jam",)
            assert service.live.of("ann").items == ()
            assert service.live.is_forgotten("ann")
        third.close()

    asyncio.run(run())


def test_exposures_of_a_forgotten_person_are_not_written_by_another_worker(
    pair: tuple[ShopService, ShopService],
) -> None:
    from crossaisle.serve.experiments.log import Exposure

    one, other = pair
    shown = Exposure("x", "a", "zoe", time.time(), ("bread",), (1.0,), 1.0)

    async def run() -> None:
        other.experiments.exposures.put(shown)
        other.experiments.log.add([shown])
        await other.experiments.written()
        other.experiments.exposures.put(shown)
        await other.start()
        await one.forget("zoe")
        await other.experiments.written()
        await other.stop()

    asyncio.run(run())
    assert one.experiments.log.exposures_of("zoe") == []


@pytest.mark.parametrize("limits", [WorkerLimits(read_seconds=0.05, retry_seconds=0.05)], ids=["hasty"])
def test_a_deletion_is_answered_when_both_have_read_it_however_long_that_takes(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than lists wait where a model knows a million users: each has a digest."""
    one, other = pair
    users = ShopMemory.users

    def slow(self: ShopMemory) -> Iterator[str]:
        time.sleep(0.3)
        return users(self)

    async def run() -> None:
        await one.add_events([event("zoe"), event("ann")])
        for service in pair:
            await replica(service).catch_up()
        await other.forget("ann")
        monkeypatch.setattr(ShopMemory, "users", slow)
        await one.start()
        assert one.live.of("ann").items == (), "deleted while this worker was loading"
        await other.start()
        await one.forget("zoe")
        for service in pair:
            assert service.live.of("zoe").items == ()
            assert service.live.is_forgotten("zoe")
            await service.stop()

    asyncio.run(run())


@pytest.mark.parametrize("limits", [WorkerLimits(require_seconds=0.1)], ids=["impatient"])
def test_a_deletion_that_cannot_be_read_is_not_answered_as_done(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    users = ShopMemory.users

    def fails(_: ShopMemory) -> Iterator[str]:
        raise StoreError("away")

    def slow(self: ShopMemory) -> Iterator[str]:
        time.sleep(0.3)
        return users(self)

    async def run() -> None:
        await one.add_events([event("zoe")])
        for way in (fails, slow):
            with monkeypatch.context() as away:
                away.setattr(ShopMemory, "users", way)
                with pytest.raises(StoreError, match="recent writes cannot be read: try again"):
                    await one.forget("zoe")
        await asyncio.sleep(0.4)  # the slow one is done
        await one.forget("zoe")
        assert one.live.of("zoe").items == ()

    asyncio.run(run())


def test_what_a_busy_store_still_has_to_write_about_the_deleted_is_waited_for(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    submit, busy = other.store.submit, [True]

    def often_busy(work: Any) -> Any:
        if busy:
            raise Busy("the store is busy")
        return submit(work)

    async def run() -> None:
        await one.add_events([event("zoe")])
        await other.start()
        monkeypatch.setattr(other.store, "submit", often_busy)
        deleting = asyncio.ensure_future(one.forget("zoe"))
        await asyncio.sleep(0.3)
        assert not deleting.done()
        busy.clear()
        await deleting
        await other.stop()

    asyncio.run(run())


def test_attributes_in_the_queue_of_another_worker_do_not_outlive_a_deletion(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    put, gate = other.store.put_user, asyncio.Event()

    async def run() -> None:
        await one.add_events([event("zoe")])
        waiting = asyncio.ensure_future(other.put_user("zoe", {"mail": "x"}))
        await gate.wait()
        await one.forget("zoe")
        with pytest.raises(ConflictError, match="was deleted while this waited"):
            await waiting
        assert one.store.user("zoe") is None
        await other.put_user("zoe", {"mail": "y"})
        assert one.store.user("zoe") == {"mail": "y"}

    def slow(*given: Any, **more: Any) -> Future[None]:
        """Delays the writer of this worker."""
        gate.set()
        monkeypatch.setattr(other.store, "put_user", put)
        answer: Future[None] = Future()

        async def later() -> None:
            while one.store.deleted_at("zoe") is None:
                await asyncio.sleep(0.01)
            try:
                answer.set_result(await asyncio.wrap_future(put(*given, **more)))
            except ConflictError as error:
                answer.set_exception(error)

        tasks.append(asyncio.ensure_future(later()))
        return answer

    tasks: list[asyncio.Future[None]] = []
    monkeypatch.setattr(other.store, "put_user", slow)
    asyncio.run(run())


def test_nothing_is_left_of_a_deleted_event(pair: tuple[ShopService, ShopService], tmp_path: Path) -> None:
    one, other = pair
    item, key = "item-that-was-4711", "key-that-was-4711"

    async def run() -> None:
        for service in pair:
            await service.start()
        await one.add_events([event("zoe"), Event(key, "zoe", item, "wish-4711", 1.7e9, 4711.0, 2.0)])
        await other.asked()
        assert item in other.live.of("zoe").items
        await one.withdraw(key)
        for service in pair:
            assert item not in service.live.of("zoe").items
        with one.store.reading() as connection:
            rows = connection.execute("SELECT what FROM changes WHERE what <> 'model'").fetchall()
        assert rows == [("withdrawn",)], "digests only, and as long as the service runs"
        await one.add_events([Event(key, "zoe", item, "wish-4711", 1.7e9)])
        await other.asked()
        assert item in other.live.of("zoe").items, "it may come again"
        await other.withdraw(key)
        await one.asked()
        assert item not in one.live.of("zoe").items
        for service in pair:
            await service.stop()

    asyncio.run(run())
    for word in (item, key, "wish-4711"):
        assert traces(tmp_path, word) == {}


@pytest.mark.parametrize("limits", [WorkerLimits()], ids=["default"])
def test_a_deletion_that_its_worker_did_not_survive_is_known_and_finished_when_asked_for_again(
    pair: tuple[ShopService, ShopService], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    one.store.put_user("person-4711", {"mail": "x"}).result()

    async def conversation(client: httpx.AsyncClient) -> None:
        await replica(other).catch_up()
        with monkeypatch.context() as killed:
            killed.setattr(WorkerSlot, "committed", lambda _: None)  # it died before it could say so
            one.store.forget("person-4711").result()
        answer = await client.delete("/api/users/person-4711")
        assert answer.status_code == 200
        assert answer.json() == {"events_deleted": 0, "overwritten": other.store.engine.overwrites}
        assert traces(tmp_path, "person-4711") == {}

    talk(other, conversation)


def test_a_change_is_answered_when_the_other_has_it(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair

    async def run() -> None:
        for service in pair:
            await service.start()
        await one.changes.put_items({"rye": {"title": "Rye bread"}})
        assert "rye" in other.shop.dataset.item_ids
        shop = one.shop
        await replica(one).catch_up()
        await replica(one).apply_pending(one.changes.follow)
        assert one.shop is shop, "its own change is not made twice"
        for n in range(4):  # at the same time they need two processes: see test_workers.py
            await pair[n % 2].changes.put_items({f"i{n}": {"title": "Jam"}})
        for service in pair:
            assert {f"i{n}" for n in range(4)} <= set(service.state.changed)
        await one.changes.activate("b")
        assert other.state.active.name == "b"
        await other.changes.roll_back()
        assert one.state.active.name == "a"
        for service in pair:
            await service.stop()

    asyncio.run(run())


@pytest.mark.parametrize("limits", [WorkerLimits(follow_seconds=0.1)], ids=["impatient"])
def test_one_that_does_not_follow_is_told_of(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair
    replica(other).slot.put(SERVING, 1)
    with pytest.raises(StoreError, match="worker 1 has not applied it yet"):
        asyncio.run(one.changes.put_items({"rye": {"title": "Rye bread"}}))
    assert "rye" in one.store.items()
    replica(other).slot.shared.worker_exited(1)
    asyncio.run(one.changes.put_items({"rye": {"title": "Rye bread"}}))


def test_shared_state_keeps_what_a_worker_told(shared: SharedState) -> None:
    slots = [shared.slot("", number) for number in (0, 1)]
    before = slots[0].commits
    slots[1].committed()
    assert slots[0].commits == before + 1
    shared.worker_exited(1)
    assert slots[0].commits == before + 2
    slots[1].put(READ, 7)
    assert (slots[1].get(READ), slots[0].get(READ)) == (7, 0)
    slots[1].report({"a": [1, 2]})
    assert list(slots[0].reports()) == [(1, {"a": [1, 2]})]
    assert list(slots[1].reports()) == []
    shared.numbers[SERVING] = 1
    shared.has_spare_worker(0, 3)
    assert shared.has_spare_worker(1, 4)
    assert not shared.has_spare_worker(1, 3)
