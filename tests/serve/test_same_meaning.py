"""The same events mean the same in a file, live and in a refit."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.kinds import CART, PURCHASE, ROLES
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import HistoryLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.refit import merge
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Event

KINDS = ("view", "cart", "purchase", "rating", "dislike", "return", "remove_from_cart", "impression")
LIKELY = (0.35, 0.15, 0.25, 0.05, 0.04, 0.08, 0.05, 0.03)
START = 1_700_000_000
HALF_LIFE = 10.0


def log(n: int, seed: int) -> pl.DataFrame:
    """Events of some people on few items, so that much is taken back; a third within minutes of another."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(n) < 0.3, rng.integers(1, 900, n), rng.integers(1800, 40_000, n))
    kind = rng.choice(KINDS, n, p=LIKELY)
    return pl.DataFrame(
        {
            "user_id": [f"p{i}" for i in rng.integers(0, 6, n)],
            "item_id": [f"i{i}" for i in rng.integers(0, 8, n)],
            "time": START + np.cumsum(gaps),
            "kind": kind,
            "value": [float(rng.integers(1, 6)) if one == "rating" else None for one in kind],
            "quantity": [float(rng.choice([1, 2, 3, -1])) if one == "purchase" else 1.0 for one in kind],
        }
    )


def items() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(8)],
            "title": [
                f"{colour} {what}" for colour in ("red", "blue") for what in ("mug", "pan", "lamp", "rug")
            ],
            "categories": ["Kitchen", "Kitchen", "Living", "Living"] * 2,
        }
    )


def imported(events: pl.DataFrame) -> Dataset:
    return import_frames(items(), events).dataset


def sent(events: pl.DataFrame) -> list[Event]:
    return [
        Event(None, r["user_id"], r["item_id"], r["kind"], float(r["time"]), r["value"], r["quantity"])
        for r in events.iter_rows(named=True)
    ]


def model_of(shop: Dataset) -> Recommender:
    parts = {
        "popularity": Popularity(half_life_days=HALF_LIFE),
        "frequency": Frequency(),
        "tfidf": TfidfSimilarity(average=True),
    }
    weights = {"for_you": {"frequency": 1.0, "tfidf": 0.5}}
    return Recommender(shop, Blend(parts=parts, weights=weights).fit(shop), repeats=True)


def served(shop: Dataset, events: list[Event]) -> LiveRecommender:
    limits = HistoryLimits(count_seconds=0.0)
    return LiveRecommender(model_of(shop), LiveHistories(events, meanings=shop.meanings, limits=limits))


def told(histories: Histories, shop: Dataset) -> list[object]:
    """What a batch of one says, in terms that do not depend on rows or on how much is spelled out."""
    n = len(histories.item)
    weight = np.ones(n) if histories.weight is None else histories.weight
    role = np.full(n, shop.role) if histories.role is None else histories.role
    disliked = [] if histories.disliked is None else shop.item_ids.ids(histories.disliked.item)
    of_item = zip(
        shop.item_ids.ids(histories.item), histories.day.round(6), weight.round(6), role, strict=True
    )
    return [sorted(of_item), sorted(disliked)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("known", [0.3, 0.7])
def test_file_live_and_refit_agree(seed: int, known: float) -> None:
    events = log(240, seed)
    if seed % 2:  # by weight, returned in thirds
        third = pl.when(pl.col("kind") == "return").then(0.1).otherwise(0.3)
        events = events.with_columns(quantity=pl.col("quantity") * third)
    cut = int(known * len(events))
    whole, base = imported(events), imported(events[:cut])
    live = served(base, sent(events[cut:]))
    merged, fresh, _ = merge(base, live.dataset, iter(sent(events[cut:])), Forgotten())
    assert len(fresh) == len(events) - cut
    assert merged.item_ids == whole.item_ids
    again = model_of(whole)
    for user in whole.user_ids.all:
        in_file = told(again.history_of(user), whole)
        assert told(model_of(merged).history_of(user), merged) == in_file
        assert told(live.history_of(user), whole) == in_file
    live.live.trends.tick()
    trending = live.score_batch(Histories.of([[]]), "trending")
    expected = again.score_batch(Histories.of([[]]), "trending")
    np.testing.assert_allclose(trending, expected, rtol=1e-5)
    np.testing.assert_array_equal(model_of(merged).score_batch(Histories.of([[]]), "trending"), expected)
    for user in whole.user_ids.all:
        scores = [one.score_batch(one.history_of(user))[0] for one in (live, again)]
        np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)


def test_events_that_the_model_has_already_do_not_count_twice() -> None:
    """A purchase and its return in the same second are two events, each once."""
    events = log(200, 3)
    shop = imported(events)
    live = served(shop, sent(events[100:]))
    again = model_of(shop)
    for user in shop.user_ids.all:
        assert told(live.history_of(user), shop) == told(again.history_of(user), shop)
    merged, fresh, _ = merge(shop, shop, iter(sent(events)), Forgotten())
    assert not fresh
    assert len(merged.events) == len(shop.events)


def test_a_purchase_returned_live_is_bought_no_more() -> None:
    rows = [
        ("ann", "i0", START, "purchase"),
        ("ann", "i1", START + 9e5, "purchase"),
        ("bob", "i1", START, "view"),
    ]
    shop = imported(pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row"))
    assert ROLES[PURCHASE] == "purchase"
    live = served(shop, [Event(None, "ann", "i0", "return", START + 2e6, None, 1.0)])
    own = live.history_of("ann")
    assert shop.item_ids.ids(own.item) == ["i1"]
    assert own.disliked is not None
    assert shop.item_ids.ids(own.disliked.item) == ["i0"]
    live.live.add([Event(None, "ann", "i0", "add-to-cart", START + 3e6)])
    own = live.history_of("ann")
    assert own.role is not None
    assert own.role.tolist() == [PURCHASE, CART]
    assert own.disliked is None
    assert own.day[-1] * SECONDS_PER_DAY == pytest.approx(START + 3e6)
