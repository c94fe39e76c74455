"""How one worker takes in what another wrote, on both engines, two of them in one process."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.errors import StoreError
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.store import Busy, Event, Store
from crossaisle.serve.workers import replication as followings
from crossaisle.serve.workers import shared_state as boards
from crossaisle.serve.workers.replication import PORTION, News, Replica
from crossaisle.serve.workers.shared_state import READ, SERVING, SharedState, WorkerSlot
from tests.serve.conftest import talk
from tests.serve.store.test_deletion import traces

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")


def event(user: str, item: str = "bread", n: int = 0) -> Event:
    return Event(None, user, item, "view", 1_700_000_000.0 + n)


@pytest.fixture
def board() -> SharedState:
    return SharedState.create([""], 2)


@pytest.fixture
def pair(model: Path, place: str | Path, board: SharedState) -> Iterator[tuple[ShopService, ShopService]]:
    with ExitStack() as stack:
        stack.enter_context(closing(Store(place, run="r", serving=True).handed_over()))
        one, other = (
            stack.enter_context(
                closing(ShopService.open(model, place, model.parent, seat=board.seat("", number), run="r"))
            )
            for number in (0, 1)
        )
        yield one, other


def following(service: ShopService) -> Replica:
    assert service.following is not None
    return service.following


def test_numbers_grow_in_the_order_of_commits(place: str | Path, board: SharedState) -> None:
    """A number that is read later than a higher one would be passed over for ever."""
    with (
        closing(Store(place, board.seat("", 0))) as one,
        closing(Store(place, board.seat("", 1))) as other,
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
            await following(service).fresh()

    asyncio.run(run())
    assert len(one.live.of("zoe").items) == 20
    assert one.live.of("zoe") == other.live.of("zoe")
    assert list(one.latest) == list(other.latest)


def test_a_large_import_elsewhere_is_read_in_portions(pair: tuple[ShopService, ShopService]) -> None:
    one, other = pair

    async def run() -> None:
        await one.add_events([event(f"u{n % 7}", n=n) for n in range(2 * PORTION + 5)])
        await following(other).fresh()

    asyncio.run(run())
    assert sum(len(other.live.of(f"u{n}").items) for n in range(7)) == 2 * PORTION + 5


def test_what_a_forgotten_person_did_since_counts_whenever_it_is_read(
    pair: tuple[ShopService, ShopService], model: Path, place: str | Path
) -> None:
    one, other = pair

    async def run() -> None:
        await one.add_events([event("zoe"), event("ann")])
        await following(other).fresh()
        assert other.live.of("zoe").items == ("bread",)
        late = Store(place, one.following.seat)  # type: ignore[union-attr]
        starting = Replica(late, following(one).seat, "r")
        await one.forget("zoe")
        await one.forget("ann")
        await one.add_events([event("zoe", "jam")._replace(time=time.time())])
        await following(other).fresh()
        # One that read its numbers before, and everything else after.
        third = ShopService(model, Recommender.load(model), late, None, following=starting)
        await starting.fresh()
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
        other.experiments._waiting.append(shown)
        other.experiments.log.add([shown])
        await other.experiments.written()
        other.experiments._waiting.append(shown)
        await following(other).start()
        await one.forget("zoe")
        await other.experiments.written()
        await following(other).stop()

    asyncio.run(run())
    assert one.experiments.log.exposures_of("zoe") == []


def test_a_deletion_is_answered_when_both_have_read_it_however_long_that_takes(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than lists wait where a model knows a million people: each has a digest."""
    monkeypatch.setattr(followings, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(followings, "AGAIN_SECONDS", 0.05)
    one, other = pair
    read = Replica._news

    def slow(self: Replica) -> News:
        time.sleep(0.3)
        return read(self)

    async def run() -> None:
        await one.add_events([event("zoe"), event("ann")])
        for service in pair:
            await following(service).fresh()
        await other.forget("ann")
        monkeypatch.setattr(Replica, "_news", slow)
        await following(one).start()
        assert one.live.of("ann").items == (), "deleted while this worker was loading"
        await following(other).start()
        await one.forget("zoe")
        for service in pair:
            assert service.live.of("zoe").items == ()
            assert service.live.is_forgotten("zoe")
            await following(service).stop()

    asyncio.run(run())


def test_a_deletion_that_cannot_be_read_is_not_answered_as_done(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    read = Replica._news

    def fails(_: Replica) -> News:
        raise StoreError("away")

    def slow(self: Replica) -> News:
        time.sleep(0.3)
        return read(self)

    async def run() -> None:
        await one.add_events([event("zoe")])
        for way in (fails, slow):
            with monkeypatch.context() as away:
                away.setattr(followings, "PATIENCE", 0.1)
                away.setattr(Replica, "_news", way)
                with pytest.raises(StoreError, match="what was written cannot be read: ask again"):
                    await one.forget("zoe")
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
        await following(other).start()
        monkeypatch.setattr(other.store, "submit", often_busy)
        deleting = asyncio.ensure_future(one.forget("zoe"))
        await asyncio.sleep(0.3)
        assert not deleting.done()
        busy.clear()
        await deleting
        await following(other).stop()

    asyncio.run(run())


def test_a_deletion_that_its_worker_did_not_survive_is_known_and_finished_when_asked_for_again(
    pair: tuple[ShopService, ShopService], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    one.store.put_user("person-4711", {"mail": "x"}).result()

    async def conversation(client: httpx.AsyncClient) -> None:
        await following(other).fresh()
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
            await following(service).start()
        await one.put_items({"rye": {"title": "Rye bread"}})
        assert "rye" in other.shop.dataset.item_ids
        shop = one.shop
        await following(one).fresh()
        await following(one).catch_up()
        assert one.shop is shop, "its own change is not made twice"
        for n in range(4):  # at the same time they need two processes: see test_workers.py
            await pair[n % 2].put_items({f"i{n}": {"title": "Jam"}})
        for service in pair:
            assert {f"i{n}" for n in range(4)} <= set(service.changed)
        await one.activate("b")
        assert other.active.name == "b"
        await other.roll_back()
        assert one.active.name == "a"
        for service in pair:
            await following(service).stop()

    asyncio.run(run())


def test_one_that_does_not_follow_is_told_of(
    pair: tuple[ShopService, ShopService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "WAIT_SECONDS", 0.1)
    one, other = pair
    following(other).seat.put(SERVING, 1)
    with pytest.raises(StoreError, match="worker 1 does not follow"):
        asyncio.run(one.put_items({"rye": {"title": "Rye bread"}}))
    assert "rye" in one.store.items()
    following(other).seat.board.left(1)
    asyncio.run(one.put_items({"rye": {"title": "Rye bread"}}))


def test_a_board_keeps_what_a_worker_told(board: SharedState) -> None:
    seats = [board.seat("", number) for number in (0, 1)]
    before = seats[0].commits
    seats[1].committed()
    assert seats[0].commits == before + 1
    board.left(1)
    assert seats[0].commits == before + 2
    seats[1].put(READ, 7)
    assert (seats[1].get(READ), seats[0].get(READ)) == (7, 0)
    seats[1].report({"a": [1, 2]})
    assert list(seats[0].reports()) == [(1, {"a": [1, 2]})]
    assert list(seats[1].reports()) == []
    board.numbers[SERVING] = 1
    board.crowded(0, 3)
    assert board.crowded(1, 4)
    assert not board.crowded(1, 3)
