"""Live histories: merged in order of time whatever order events come in, and bounded."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
import httpx

from crossaisle.data.query import Query
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import HistoryLimits, LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event
from tests.serve.conftest import talk

NOW = 1.7e9


def one(user: str, item: str, moment: float) -> Event:
    return Event(None, user, item, "view", moment)


def sorted_by_hand(events: list[Event], user: str, kept: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    own = sorted((e for e in events if e.user == user), key=lambda e: e.time / SECONDS_PER_DAY)[-kept:]
    return tuple(e.item for e in own), tuple(e.time / SECONDS_PER_DAY for e in own)


@pytest.mark.parametrize("kept", [7, 40, 5000])
@pytest.mark.parametrize("seed", range(4))
def test_batches_in_any_order_give_what_a_sort_by_time_gives(seed: int, kept: int) -> None:
    limits = HistoryLimits(user_events=kept)
    rng = random.Random(seed)
    events = [
        one(rng.choice("abc"), f"i{n}", NOW + rng.randrange(60))
        for n in range(300)  # many of equal time
    ]
    live, at, seen = LiveHistories(limits=limits), 0, dict.fromkeys("abc", 0)
    while at < len(events):
        size = rng.choice((1, 1, 1, 2, 30))
        live.add(events[at : at + size])
        at += size
        for user in "abc":
            own, before = live.of(user), seen[user]
            assert own[:2] == sorted_by_hand(events[:at], user, kept)
            assert own.total == sum(event.user == user for event in events[:at])
            assert (own.version > before) == any(e.user == user for e in events[at - size : at])
            seen[user] = own.version
    again = LiveHistories(events, limits=limits)
    assert all(again.of(user)[:2] == live.of(user)[:2] for user in "abc")
    assert all(again.of(user).total == live.of(user).total for user in "abc")


def test_a_start_takes_events_in_by_portions() -> None:
    events = [one(f"u{n % 3}", f"i{n}", NOW - n) for n in range(50)]
    whole = LiveHistories(events)
    parts = LiveHistories(iter(events), limits=HistoryLimits(batch_events=8))
    for user in ("u0", "u1", "u2"):
        assert parts.of(user)[:2] == whole.of(user)[:2]
    assert len(parts.trends.pairs().day) == len(whole.trends.pairs().day) == 50


def test_batches_of_one_id_cost_no_more_than_their_length() -> None:
    live = LiveHistories()
    start = time.process_time()
    for batch in range(3):  # as a table comes that is sorted newest first
        live.add([one("guest", "milk", NOW - batch * 10_000 - n) for n in range(10_000)])
    assert time.process_time() - start < 3  # 30 s with a new copy of the history for every event
    own, kept = live.of("guest"), HistoryLimits().user_events
    assert (len(own.items), own.total) == (kept, 30_000)
    assert own.days[-1] == NOW / SECONDS_PER_DAY
    assert own.days[0] == (NOW - kept + 1) / SECONDS_PER_DAY


def test_an_event_older_than_all_that_are_kept_changes_the_total_only() -> None:
    live = LiveHistories([one("a", f"i{n}", NOW + n) for n in range(3)], limits=HistoryLimits(user_events=3))
    before = live.of("a")
    live.add([one("a", "old", NOW - 1)])
    assert live.of("a")[:2] == before[:2]
    assert live.of("a").total == 4
    live.add([one("a", "new", NOW + 9)])
    assert live.of("a").items == ("i1", "i2", "new")
    live.forget("a", NOW + 9)
    assert live.of("a")[:2] == ((), ())
    assert live.of("a").total == 0
    assert live.of("a").version > before.version


def test_what_is_no_longer_kept_may_be_shown_again(model: Path) -> None:
    live = LiveHistories(limits=HistoryLimits(user_events=2))
    shop = LiveRecommender(Recommender.load(model), live)
    asked = Query(user="zoe", n=20, exclude_seen=True)
    live.add([one("zoe", item, NOW + n) for n, item in enumerate(("bread", "milk", "butter"))])
    listed = shop.recommend(asked).ids
    assert "bread" in listed
    assert {"milk", "butter"}.isdisjoint(listed)
    assert shop.history_of("zoe").item.tolist() == shop.dataset.item_ids.rows(["milk", "butter"]).tolist()


def test_others_are_answered_while_batches_of_one_id_come_newest_first(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        still, done = [0.0], False

        async def others() -> None:
            while not done:
                before = time.perf_counter()
                await asyncio.sleep(0.01)
                still.append(time.perf_counter() - before)

        watching = asyncio.ensure_future(others())
        for batch in range(2):
            first = NOW - batch * 10_000
            body = [{"user": "guest", "item": "milk", "time": first - n} for n in range(10_000)]
            answer = await client.post("/api/events", json=body)
            assert answer.json() == {"accepted": 10_000, "duplicates": 0}
        done = True
        await watching
        assert max(still) < 3  # 10 s with a new copy of the history for every event
        assert service.live.of("guest").total == 20_000
        assert (await client.get("/api/recommend/guest?n=3")).json()["served"] == "for_you"

    talk(service, conversation)


def test_a_history_that_is_settled_again_takes_the_place_of_the_old_one(model: Path) -> None:
    """Someone who clicks on and on does not push out what was settled for everybody else."""
    live = LiveHistories()
    shop = LiveRecommender(Recommender.load(model), live, limits=LiveLimits(settled_events=100))
    end, items = shop.trending.end * SECONDS_PER_DAY, shop.dataset.item_ids.all
    live.add([Event(None, "calm", items[0], "view", end + 60)])
    calm = shop.history_of("calm")
    for click in range(40):
        live.add([Event(None, "busy", items[click % 5], "view", end + 61 + 3600 * click)])
        assert len(shop.history_of("busy").item) == click + 1
    assert shop.history_of("calm") is calm
