"""What lists are made from is the same whether events came one by one or were in the store at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.kinds import KindConfig, Kinds
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import HistoryLimits, LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.packed.merging import PackedEvents
from crossaisle.serve.store.packed.reading import read_rows
from crossaisle.serve.store.store import Event

AT_ONCE = HistoryLimits(count_seconds=0.0)
LIMITS = LiveLimits(histories=AT_ONCE, disapproval_seconds=0.0)
PEOPLE = (*(f"p{n}" for n in range(12)), *(f"new{n}" for n in range(12)))
ITEMS = ("oak", "tin", "mug", "soap", "strange")
START = 1_700_000_000.0
KINDS = ("purchase", "view", "cart", "like")
NEGATIVE = ("return", "dislike")


def model(times: bool, against: bool) -> Recommender:
    """A shop whose events may have no times, and where people may be against something."""
    rows = [(f"p{n}", ITEMS[n % 3], START + 4000 * n, "purchase") for n in range(12)]
    rows += [(f"p{n}", "soap", START + 9000 * n, "dislike") for n in range(3 if against else 0)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    if not times:
        events = events.drop("time")
    categories = ["wood", "metal", "metal", "bath"]
    items = pl.DataFrame({"item_id": ITEMS[:4], "title": [f"{one} {one}" for one in ITEMS[:4]]})
    columns = {"items": {"categories": ["category"]}}
    items = items.with_columns(category=pl.Series(categories))
    made = import_frames(items, events, columns=columns).dataset
    parts = {"popularity": Popularity(half_life_days=5.0 if times else None)}
    return Recommender(made, Blend(parts=parts, weights={"for_you": {"popularity": 1.0}}).fit(made))


def events(rng: np.random.Generator, n: int, kinds: Sequence[str]) -> list[Event]:
    """Some late, some after a long silence, some with a rating."""
    days = np.where(rng.random(n) < 0.1, rng.choice([-40.0, 90.0], n), rng.uniform(-3.0, 20.0, n))
    return [
        Event(
            None,
            str(rng.choice(PEOPLE)),
            str(rng.choice(ITEMS)),
            str(rng.choice(kinds)),
            START + float(day) * SECONDS_PER_DAY,
            float(rng.integers(1, 6)) if rng.random() < 0.2 else None,
            float(rng.choice([-1.0, 2.0])) if rng.random() < 0.1 else None,
        )
        for day in days
    ]


def stored(some: Sequence[Event]) -> PackedEvents:
    rows = [
        (seq, one.user, one.item, one.kind, one.value, one.quantity, one.time)
        for seq, one in enumerate(some, 1)
    ]
    return read_rows(lambda _: [rows] if rows else [])


def check(one: LiveRecommender, other: LiveRecommender) -> None:
    """Both answer alike, whatever was counted before."""
    for shop in (one, other):
        shop.live.trends.tick()
    empty = Histories.of([[]])
    for placement in ("trending", "for_you"):
        expected = one.score_batch(empty, placement)
        np.testing.assert_allclose(other.score_batch(empty, placement), expected, rtol=1e-5)
    taken, expected_taken = other.disapproval.now(other.dataset), one.disapproval.now(one.dataset)
    assert (taken is None) == (expected_taken is None)
    if taken is not None and expected_taken is not None:
        np.testing.assert_allclose(taken.share, expected_taken.share, rtol=1e-6, atol=1e-9)
    assert other.trending.links(other.dataset, 4) == one.trending.links(one.dataset, 4)
    for user in PEOPLE:
        mine, theirs = other.history_of(user), one.history_of(user)
        assert mine.item.tolist() == theirs.item.tolist()
        np.testing.assert_allclose(mine.day, theirs.day)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("times", [True, False])
def test_any_order_of_events_and_deletions(times: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = model(times, against=seed % 2 == 0)
    kinds = (*KINDS, *NEGATIVE) if seed % 3 else KINDS
    before = events(rng, int(rng.integers(1, 80)), kinds)
    meanings = base.dataset.meanings
    one = LiveRecommender(base, LiveHistories(before, meanings=meanings, limits=AT_ONCE), limits=LIMITS)
    other = LiveRecommender(
        base, LiveHistories(stored=stored(before), meanings=meanings, limits=AT_ONCE), limits=LIMITS
    )
    for _ in range(8):
        step = rng.random()
        user = str(rng.choice(PEOPLE))
        more = events(rng, int(rng.integers(1, 6)), kinds)
        for shop in (one, other):
            if step < 0.5:
                shop.live.add(more)
            elif step < 0.7:
                shop.live.forget(user, more[0].time)
            elif step < 0.9:
                shop.live.withdraw(user, lambda item, day, deed, name=more[0].item: item == name)
            else:
                shop.live.use(Kinds({"view": KindConfig(means="ignored")}) if step < 0.95 else meanings)
        if rng.random() < 0.6:
            check(one, other)
    check(one, other)


def test_a_sum_is_kept_while_nobody_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    base = model(True, against=False)
    before = events(np.random.default_rng(0), 3000, KINDS)
    shop = LiveRecommender(base, LiveHistories(stored=stored(before), limits=AT_ONCE), limits=LIMITS)
    read: list[int] = []
    parts = shop.live.stored.parts
    monkeypatch.setattr(shop.live.stored, "parts", lambda without: read.append(1) or parts(without))

    def counted() -> int:
        shop.live.trends.tick()
        shop.score_batch(Histories.of([[]]), "trending")
        return len(read)

    first = counted()
    for n in range(20):
        shop.live.add([Event(None, PEOPLE[n], "tin", "view", START + n * 3600.0)])
        assert counted() == first > 0
    shop.live.forget("p1", START + 1e9)
    assert counted() > first
