"""Decayed counts: exact, from the log alone, and without those who asked to be forgotten."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from crossaisle.api_types import CategoryLinks
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.query import Query
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import HistoryLimits, LiveLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.shopwide.trending import HALF_LIFE_DAYS
from crossaisle.serve.refit import merge
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import talk

HALF_LIFE = 10.0
NOBODY = Histories.of([[]])


AT_ONCE = HistoryLimits(count_seconds=0.0, waiting_events=50)


@pytest.fixture
def service(model: Path, tmp_path: Path) -> Iterator[ShopService]:
    """A shop where events are counted at once."""
    limits = ServingLimits(live=LiveLimits(histories=AT_ONCE))
    opened = ShopService.open(model, tmp_path / "store.sqlite", model.parent, limits=limits)
    yield opened
    opened.close()


def histories_of(events: Iterable[Event] = (), forgotten: Forgotten | None = None) -> LiveHistories:
    return LiveHistories(events, forgotten, limits=AT_ONCE)


def model_of(shop: Dataset, half_life: float | None = HALF_LIFE) -> Recommender:
    parts = {"popularity": Popularity(half_life_days=half_life), "item_knn": ItemKNN()}
    return Recommender(shop, Blend(parts=parts, weights={"for_you": {"item_knn": 1.0}}).fit(shop))


def events_of(shop: Dataset, n: int, seed: int, *, start: float = 0.0) -> list[Event]:
    """Of people known and unknown, on items and on one that the shop does not have, out of order."""
    rng = np.random.default_rng(seed)
    people = [*shop.user_ids.all, *(f"p{i}" for i in range(8))]
    items = [*shop.item_ids.all, "gone"]
    end = float(shop.histories([0]).now[0]) + start
    seconds = np.floor(rng.uniform(end, end + 25.0, n) * SECONDS_PER_DAY)
    return [
        Event(None, str(rng.choice(people)), str(rng.choice(items)), "purchase", float(t)) for t in seconds
    ]


def popular(shop: LiveRecommender) -> np.ndarray:
    shop.live.trends.tick()
    return shop.score_batch(NOBODY, "trending")[0]


def by_hand(shop: Dataset, events: list[Event], half_life: float, gap: float = 0.0) -> np.ndarray:
    """Each person and item with the newest event, one by one."""
    newest: dict[tuple[str, str], float] = {}
    past = shop.histories()
    names, people = shop.item_ids.all, shop.user_ids.all
    for owner, item, day in zip(past.owner, past.item, past.day, strict=True):
        pair = people[owner], names[item]
        newest[pair] = max(newest.get(pair, -np.inf), day)
    for event in events:
        if event.item in shop.item_ids:
            pair = event.user, event.item
            newest[pair] = max(newest.get(pair, -np.inf), event.time / SECONDS_PER_DAY - gap)
    last = max(newest.values())
    total = dict.fromkeys(names, 0.0)
    for (_, item), day in newest.items():
        total[item] += 2.0 ** ((day - last) / half_life)
    top = max(total.values())
    return np.array([total[name] / top if total[name] else np.nan for name in names])


def test_counts_are_what_a_sum_by_hand_says(shop: Dataset) -> None:
    base = model_of(shop)
    events = events_of(shop, 400, 1)
    live = histories_of()
    served = LiveRecommender(base, live)
    np.testing.assert_array_equal(popular(served), base.score_batch(NOBODY, "trending")[0])
    for start in range(0, 400, 50):
        live.add(events[start : start + 50])
        expected = by_hand(shop, events[: start + 50], HALF_LIFE)
        np.testing.assert_allclose(popular(served), expected, rtol=1e-6)
    # ... and what a model says that is fitted on everything.
    merged, _, _ = merge(shop, shop, iter(events), set())
    fitted = Popularity(half_life_days=HALF_LIFE).fit(merged)
    np.testing.assert_allclose(popular(served), fitted.popularity_, rtol=1e-5)


def test_a_model_whose_popularity_never_ages_has_a_half_life_here(shop: Dataset) -> None:
    base = model_of(shop, None)
    live = histories_of()
    served = LiveRecommender(base, live)
    end = served.trending.end
    later = Event(None, "p1", "cake", "purchase", (end + HALF_LIFE_DAYS) * SECONDS_PER_DAY)
    live.add([later])
    before = base.score_batch(NOBODY, "trending")[0]
    now = popular(served)
    row = shop.item_ids.row
    # Four people had bread; they count half now, and the one of today in full.
    assert before[row("bread")] == pytest.approx(3 / 3)
    assert now[row("cake")] / now[row("bread")] == pytest.approx((2 / 2 + 1) / (3 / 2))


def test_a_gap_without_events_does_not_age_counts(shop: Dataset) -> None:
    base = model_of(shop)
    events = events_of(shop, 100, 2, start=800.0)
    first = min(event.time for event in events) / SECONDS_PER_DAY
    served = LiveRecommender(base, histories_of(events))
    gap = first - served.trending.end
    assert gap > 700
    np.testing.assert_allclose(popular(served), by_hand(shop, events, HALF_LIFE, gap), rtol=1e-6)


def test_the_order_of_arrival_and_a_restart_change_nothing(shop: Dataset) -> None:
    base, events = model_of(shop), events_of(shop, 300, 3)
    one_by_one, at_once = histories_of(), histories_of(events)
    served = LiveRecommender(base, one_by_one)
    for event in events:
        one_by_one.add([event])
        if event.time % 3 == 0:
            popular(served)
    again = LiveRecommender(base, at_once)
    np.testing.assert_array_equal(popular(served), popular(again))
    assert served.trending.links(shop, 5) == again.trending.links(shop, 5)
    shuffled = [events[i] for i in np.random.default_rng(0).permutation(len(events))]
    other = LiveRecommender(base, histories_of(shuffled))
    np.testing.assert_allclose(popular(other), popular(again), rtol=1e-12)


def test_the_clock_of_the_machine_says_nothing(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    base, events = model_of(shop), events_of(shop, 100, 4, start=500.0)
    found = []
    for moment in (0.0, 1e9, 4e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        served = LiveRecommender(base, histories_of(events))
        found.append((popular(served), served.history_of("ann").day, served.recommend(Query(user="ann"))))
    for scores, days, answer in found[1:]:
        np.testing.assert_array_equal(scores, found[0][0])
        np.testing.assert_array_equal(days, found[0][1])
        assert answer == found[0][2]


def test_who_asked_to_be_forgotten_does_not_count(shop: Dataset) -> None:
    base, events = model_of(shop), events_of(shop, 200, 5)
    live = histories_of(events)
    served = LiveRecommender(base, live)
    popular(served)
    gone = ("ann", "p3")
    for user in gone:
        live.forget(user, max(event.time for event in events))
    rest = [event for event in events if event.user not in gone]
    merged, _, left_out = merge(shop, shop, iter(rest), live.forgotten)
    assert left_out == 1
    expected = Popularity(half_life_days=HALF_LIFE).fit(merged).popularity_
    now = popular(served)
    known = ~np.isnan(expected)
    np.testing.assert_allclose(now[known], expected[known], rtol=1e-5)
    assert np.nan_to_num(now[~known]).max(initial=0.0) < 1e-30
    # After a restart, too.
    again = LiveRecommender(base, histories_of(rest, live.forgotten))
    np.testing.assert_allclose(popular(again), now, rtol=1e-6, atol=1e-30)
    assert served.trending.links(shop, 5) == again.trending.links(shop, 5)


def test_a_large_shop_shows_the_same(shop: Dataset) -> None:
    base, live = model_of(shop), histories_of(events_of(shop, 200, 10))
    queries = [Query(placement="trending", n=4), Query(user="nobody", n=4), Query(placement="trending", n=9)]
    small = LiveRecommender(base, live).score_many(queries)
    limits = LiveLimits(large_items=3, trending_items=5)
    large = LiveRecommender(base, live, limits=limits)
    assert large.large
    assert large.score_many(queries) == small


def test_one_person_is_no_trend(shop: Dataset) -> None:
    base = model_of(shop)
    end = base.dataset.histories([0]).now[0] * SECONDS_PER_DAY
    eager = [Event(None, "bot", "cake", "purchase", end + second) for second in range(1000)]
    three = [Event(None, f"p{i}", "honey", "purchase", end) for i in range(6)]
    now = popular(LiveRecommender(base, histories_of(eager + three)))
    row = shop.item_ids.row
    assert now[row("honey")] > 2 * now[row("cake")]


@pytest.mark.parametrize(
    "days",
    [
        [-3650.0],  # long before the model's end
        [60.0],  # in the silence between the model and the live events
        [100.0, 200.0, 300.0, 400.0],
        [4000.0],  # far ahead of all others
        [4000.0, 9000.0, 60.0],
    ],
)
@pytest.mark.parametrize("n", [3, 300])
def test_a_stray_time_makes_nothing_else_older(shop: Dataset, days: list[float], n: int) -> None:
    """One event of a wrong or an old time counts as one event, and moves no other."""
    base, events = model_of(shop), events_of(shop, n, 6, start=800.0)
    live = histories_of(events)
    served = LiveRecommender(base, live)
    sane, seen = popular(served), served.history_of("ann")
    end = served.trending.end
    stray = [
        Event(None, f"stray{at}", "honey", "purchase", (end + day) * SECONDS_PER_DAY)
        for at, day in enumerate(days)
    ]
    for late in (stray, stray[::-1]):
        for event in late:
            live.add([event])
            popular(served)
        now = popular(served)
        honey = shop.item_ids.row("honey")
        rest = np.arange(shop.n_items) != honey
        np.testing.assert_allclose(now[rest] / now[rest].max(), sane[rest] / sane[rest].max(), rtol=1e-5)
        np.testing.assert_allclose(served.history_of("ann").day, seen.day, atol=1e-9)
        again = LiveRecommender(base, histories_of([*stray, *events]))
        np.testing.assert_allclose(popular(again), now, rtol=1e-6)
        for event in late:
            live.withdraw(event.user, lambda *_: True)
        np.testing.assert_allclose(popular(served), sane, rtol=1e-6)


def test_many_late_events_do_not_hide_the_latest(shop: Dataset) -> None:
    base, events = model_of(shop), events_of(shop, 300, 6, start=800.0)
    live = histories_of(events)
    served = LiveRecommender(base, live)
    sane = popular(served)
    end = served.trending.end
    old = [Event(None, f"o{i}", "honey", "purchase", (end - 200) * SECONDS_PER_DAY + i) for i in range(1500)]
    live.add(old)  # such as a history that is sent in afterwards
    np.testing.assert_allclose(popular(served), sane, rtol=1e-2)


def test_category_links_follow(shop: Dataset) -> None:
    base, events = model_of(shop), events_of(shop, 60, 7)
    served = LiveRecommender(base, histories_of())
    unchanged = served.trending.links(shop, 4)
    assert isinstance(unchanged, CategoryLinks)
    live = histories_of(events)
    found = LiveRecommender(base, live).trending.links(shop, 4)
    codes, names = shop.taxonomy.codes(), shop.taxonomy.names()
    last = max(e.time for e in events if e.item in shop.item_ids) / SECONDS_PER_DAY
    weights: dict[str, dict[str, float]] = {}
    past = shop.histories()
    end = float(past.now[0])
    for owner, item in zip(past.owner, past.item, strict=True):
        own = weights.setdefault(shop.user_ids.id(int(owner)), {})
        own[names[codes[item]]] = 2.0 ** ((end - last) / HALF_LIFE)
    for event in events:
        row = shop.item_ids.get(event.item)
        if row >= 0:
            own, name = weights.setdefault(event.user, {}), names[codes[row]]
            weight = 2.0 ** ((event.time / SECONDS_PER_DAY - last) / HALF_LIFE)
            own[name] = max(own.get(name, 0.0), weight)
    users = {name: sum(own.get(name, 0.0) for own in weights.values()) for name in names}
    active = sum(max(own.values()) for own in weights.values())
    assert list(found.users) == [round(users[name], 1) for name in found.names]
    for (i, a), (j, b) in itertools.product(enumerate(found.names), repeat=2):
        both = sum(min(own.get(a, 0.0), own.get(b, 0.0)) for own in weights.values())
        assert found.lift[i][j] == pytest.approx(both * active / (users[a] * users[b]), abs=6e-4)


def test_events_do_not_pile_up_where_nobody_looks(service: ShopService) -> None:
    events = [{"user": f"u{n % 70}", "item": "bread"} for n in range(320)]

    async def conversation(client: httpx.AsyncClient) -> None:
        for start in range(0, 320, 40):
            answer = await client.post("/api/events", json=events[start : start + 40])
            assert answer.json() == {"accepted": 40, "duplicates": 0}, answer.text
            if service.memory.counting is not None:
                await asyncio.wrap_future(service.memory.counting)
            assert len(service.live.trends._waiting) < 50
        assert len(service.live.trends.pairs().day) == 70

    talk(service, conversation)
    with closing(Store(service.store.path)) as store:
        restored = histories_of(event for _, event in store.events())
    assert len(restored.trends._waiting) < 50


def test_new_items_trend_and_lists_follow(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def trending() -> list[str]:
            return [r["item_id"] for r in (await client.get("/api/trending?n=3")).json()["items"]]

        before = await trending()
        assert "rye" not in before
        await client.put("/api/items/rye", json={"title": "Rye", "categories": [["Bakery", "Bread"]]})
        links = (await client.get("/api/console/links")).json()
        await client.post(
            "/api/events", json=[{"user": f"n{i}", "item": "rye", "kind": "purchase"} for i in range(9)]
        )
        assert (await trending())[0] == "rye"
        # Somebody of whom nothing is known is shown the same.
        unknown = (await client.get("/api/recommend/nobody?n=1")).json()
        assert [r["item_id"] for r in unknown["items"]] == ["rye"]
        await client.post(
            "/api/events", json=[{"user": f"n{i}", "item": "milk", "kind": "purchase"} for i in range(9)]
        )
        assert (await client.get("/api/console/links")).json() != links
        for i in range(9):
            await client.delete(f"/api/users/n{i}")
        assert await trending() == before

    talk(service, conversation)


def test_what_is_shown_is_the_same_after_a_restart(service: ShopService, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for user, item in (("zoe", "honey"), ("yan", "honey"), ("ann", "soap"), ("xia", "honey")):
            await client.post("/api/events", json={"user": user, "item": item})
        await client.delete("/api/users/yan")

    talk(service, conversation)
    now = popular(service.shop)
    service.close()
    again = ShopService.open(model, service.store.path)
    try:
        np.testing.assert_array_equal(popular(again.shop), now)
    finally:
        again.close()


def test_counts_can_be_read_while_events_come_in(shop: Dataset) -> None:
    """Counts are read in other threads while events come in."""
    base, events = model_of(shop), events_of(shop, 2000, 8)
    live = histories_of()
    served = LiveRecommender(base, live)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(events), 40):
            reading = [loop.run_in_executor(None, popular, served), loop.run_in_executor(None, links)]
            live.add(events[start : start + 40])
            await asyncio.gather(*reading)

    def links() -> CategoryLinks:
        return served.trending.links(shop, 5)

    asyncio.run(run())
    np.testing.assert_allclose(popular(served), by_hand(shop, events, HALF_LIFE), rtol=1e-6)


def test_events_that_something_else_took_in_are_popular_all_the_same(service: ShopService) -> None:
    live = LiveHistories(limits=AT_ONCE)
    shop = LiveRecommender(service.shop.base, live)
    asked = Query(placement="trending", in_stock=False)
    live.add([Event(None, "v1", "cheese", "dislike", 1.7e9)])
    shop.recommend(asked)
    live.add([Event(None, f"w{n}", "cake", "view", 1.7e9) for n in range(50)])
    live.trends.pairs()  # as dislikes, links of categories and the thread that counts ahead do
    assert shop.recommend(asked).ids[0] == "cake"
