"""Services of several hosts on one PostgreSQL: what one acknowledged holds in the answers of the others."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from benchmarks.local_servers import Postgres
from crossaisle.errors import ConflictError, StoreError
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import Keys, add_key
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.store import Event, Store
from crossaisle.serve.workers.hosts import HostSlot
from crossaisle.serve.workers.replication import Replica
from tests.serve.store.test_store_contract import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one host only on Windows")
LIMITS = ServingLimits(
    store=StoreLimits(hold_seconds=5.0),
    workers=WorkerLimits(beat_seconds=0.2, silent_seconds=0.6, lease_seconds=1.5, follow_seconds=10.0),
)
_NUMBERS = count()


def event(user: str, item: str = "bread", key: str | None = None) -> Event:
    return Event(key, user, item, "view", 1_700_000_000.0)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return f"{postgres.url}&schema=hosts_{next(_NUMBERS)}"


def host(model: Path, url: str, name: str) -> ShopService:
    return ShopService.open(model, url, model.parent, run=name, limits=LIMITS)


@pytest.fixture
def three(model: Path, url: str) -> Iterator[list[ShopService]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(host(model, url, name))) for name in ("one", "two", "three")]


def replica(service: ShopService) -> Replica:
    assert service.replica is not None
    return service.replica


def slot(service: ShopService) -> HostSlot:
    found = replica(service).slot
    assert isinstance(found, HostSlot)
    return found


async def soon(true: Callable[[], Awaitable[bool] | bool], what: str) -> None:
    """As before a request each time, until something is so."""
    end = time.monotonic() + 20
    while True:
        found = true()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)


async def counted(service: ShopService, user: str, *items: str) -> None:
    async def so() -> bool:
        await service.asked()
        return service.live.of(user).items == items

    await soon(so, f"{user}: {service.live.of(user).items} is not {items}")


def test_an_event_at_one_host_counts_at_the_others(three: list[ShopService]) -> None:
    async def run() -> None:
        for number, service in enumerate(three):
            await service.add_events([event("zoe", ("bread", "jam", "milk")[number])])
            for other in three:
                await counted(other, "zoe", *("bread", "jam", "milk")[: number + 1])

    asyncio.run(run())
    assert [list(one.memory.latest) for one in three[1:]] == [list(three[0].memory.latest)] * 2


def test_each_host_has_a_place_of_its_own_and_leaves_it(model: Path, url: str) -> None:
    with closing(host(model, url, "one")) as one:
        with closing(host(model, url, "two")) as two:
            assert [slot(one).place, slot(two).place] == [0, 1]
        with closing(host(model, url, "three")) as three:
            assert slot(three).place == 1
            names = asyncio.run(slot(one).members())
            assert [(member.place, member.host) for member in names] == [(0, "one"), (1, "three")]


def test_users_items_rules_and_experiments_change_everywhere(three: list[ShopService]) -> None:
    from crossaisle.data.merchandising.rules import RuleSet

    one, two, other = three
    rules = RuleSet.of([{"id": "no-soap", "action": "bury", "items": ["soap"]}], "test")

    async def run() -> None:
        for service in three:
            await service.start()
        await one.add_events([event("zoe"), event("ann", "jam", "k")])
        await counted(other, "zoe", "bread")
        await two.forget("zoe")
        assert all(service.live.of("zoe").items == () for service in three)
        await other.withdraw("k")
        assert all(service.live.of("ann").items == () for service in three)
        await other.changes.put_items({"rye": {"title": "Rye loaf", "categories": ["Bakery", "Bread"]}})
        assert all("rye" in service.state.changed for service in three)
        await one.changes.put_rules(lambda _: rules)
        assert all(service.shop.rules == rules for service in three)
        # Two at once take turns, and neither is lost.
        await asyncio.gather(
            one.changes.patch_items({"rye": {"price": 3.0}}),
            two.changes.patch_items({"rye": {"in_stock": False}}),
        )
        for service in three:
            await service.asked()
            assert service.state.changed["rye"]["price"] == 3.0
            assert service.state.changed["rye"]["in_stock"] is False
        for service in three:
            await service.stop()

    asyncio.run(run())


def test_keys_are_known_to_all(three: list[ShopService]) -> None:
    token = add_key(three[0].store, "webshop", ["read"])
    assert Keys(three[1].store).find(token) is not None


def test_a_host_whose_connections_broke_catches_up(three: list[ShopService], postgres: Postgres) -> None:
    one, two, _ = three

    async def run() -> None:
        await one.add_events([event("zoe")])
        await counted(two, "zoe", "bread")
        before = slot(two)._members._connection
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        await soon(lambda: one.store.up, "not up again")
        with_retry = event("zoe", "jam", "after")
        while True:
            try:
                await one.add_events([with_retry])
                break
            except StoreError:
                await asyncio.sleep(0.05)
        await counted(two, "zoe", "bread", "jam")
        await soon(lambda: slot(two)._members._connection not in (None, before), "not listening again")

    asyncio.run(run())


def test_a_host_that_heard_nothing_for_long_reads_before_it_answers(three: list[ShopService]) -> None:
    """As one that was paused: the bell rang while nobody listened."""
    one, two, _ = three

    async def run() -> None:
        await two.asked()
        deaf = slot(two)._members
        deaf._heard = lambda notification: None  # type: ignore[method-assign]
        deaf._ending = True
        deaf._wake()
        deaf._thread.join()
        deaf_since = time.monotonic()
        await one.add_events([event("zoe")])
        await two.asked()
        known = two.live.of("zoe").items
        late = time.monotonic() - deaf_since >= LIMITS.workers.silent_seconds  # on a machine that is busy
        assert known == () or late
        await asyncio.sleep(LIMITS.workers.silent_seconds)
        await two.asked()
        assert two.live.of("zoe").items == ("bread",)

    asyncio.run(run())


def test_nobody_waits_for_a_host_that_is_not_seen(three: list[ShopService]) -> None:
    one, two, _ = three

    async def run() -> None:
        for service in three:
            await service.start()
        assert replica(two)._task is not None
        replica(two)._task.cancel()  # as if it were paused: it neither reads nor tells
        paused = slot(two)._members
        paused._ending = True
        paused._leave = lambda: paused._connection.close()  # type: ignore[method-assign]
        paused._wake()
        start = time.monotonic()
        await one.forget("zoe")
        took = time.monotonic() - start
        assert LIMITS.workers.lease_seconds - 0.5 < took < LIMITS.workers.follow_seconds
        for service in (one, three[2]):
            await service.stop()

    asyncio.run(run())


def test_numbers_grow_in_the_order_of_commits_whoever_writes(url: str) -> None:
    """A number that appears after a higher one was read would be passed over for ever."""
    import threading

    with closing(Store(url)) as one, closing(Store(url)) as other:
        drawn, go_on = threading.Event(), threading.Event()

        def slow(connection: SqlConnection) -> None:
            one.engine.insert(connection, [event("slow")])
            drawn.set()
            assert go_on.wait(4)

        first: Future[None] = one.submit(slow)
        assert drawn.wait(10)
        second = other.add([event("quick")])
        time.sleep(0.3)
        passed = second.done()
        go_on.set()
        first.result(10)
        second.result(10)
        assert not passed
        assert [e.user for _, e in other.events()] == ["slow", "quick"]


def test_a_writer_that_is_paused_does_not_keep_the_others_from_writing(url: str) -> None:
    import threading

    limits = StoreLimits(stuck_ms=500)
    with closing(Store(url, limits=limits)) as one, closing(Store(url, limits=limits)) as other:
        inside, go_on = threading.Event(), threading.Event()
        runs = count()

        def paused(connection: SqlConnection) -> None:
            one.engine.insert(connection, [event("slow", key="slow")])
            if next(runs) == 0:
                inside.set()
                assert go_on.wait(20)

        first = one.submit(paused)
        assert inside.wait(10)
        other.add([event("quick")]).result(10)
        go_on.set()
        first.result(20)  # undone by the server, and done again
        assert [e.user for _, e in other.events()] == ["quick", "slow"]


def test_a_change_is_refused_where_another_host_has_changed_something_since(
    three: list[ShopService],
) -> None:
    one, two, _ = three

    async def run() -> None:
        async with replica(one).exclusive(one.changes.follow):
            two.store.put_items({"soap": {"price": 1.0}}).result(10)
            with pytest.raises(ConflictError, match="another host changed something in the meantime"):
                one.store.put_items({"soap": {"price": 2.0}}).result(10)
        await replica(one).apply_pending(one.changes.follow)

    asyncio.run(run())
    assert one.store.items() == {"soap": {"price": 1.0}}


def test_the_last_host_leaves_the_store_to_the_next(model: Path, url: str) -> None:
    with closing(host(model, url, "one")) as one:
        first = one.store.engine.run
        with closing(host(model, url, "two")) as two:
            assert two.store.engine.run == first
    with closing(host(model, url, "three")) as three:
        assert three.store.engine.run != first


def test_a_host_that_was_cut_off_while_others_began_anew_writes_nothing(
    model: Path, url: str, postgres: Postgres
) -> None:
    with closing(host(model, url, "one")) as one:
        holding = one.store._holding
        assert holding is not None
        holding.close()
        until(lambda: not postgres.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
        with closing(host(model, url, "two")) as two:
            assert two.store.engine.run != one.store.engine.run
            with pytest.raises(StoreError, match="another service has taken the store"):
                one.store.add([event("zoe")]).result(10)


def test_services_of_several_workers_share_a_store(url: str) -> None:
    """Their first process takes it and hands it over."""
    limits = StoreLimits(hold_seconds=1.0)
    with ExitStack() as stack:
        for name in ("one", "two"):
            store = Store(url, run=name, serving=True, limits=limits)
            stack.enter_context(closing(store.handed_over()))


def test_only_one_process_does_what_only_one_may(url: str) -> None:
    with closing(Store(url)) as one, closing(Store(url)) as other:
        refused = pytest.raises(StoreError, match=r"process \d+ on .* does this already \(refit\)")
        with one.engine.only("refit"), other.engine.only("something else"), refused:  # noqa: SIM117
            with other.engine.only("refit"):
                raise AssertionError
        with other.engine.only("refit"):
            pass
