"""Only these items, never those: in a live shop with new items, kept or not, small or large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.serve.conftest import as_if_large

LARGE = {"large_items": 5, "retrieved_items": 2}


@pytest.mark.parametrize(
    "limits",
    [
        LiveLimits(),
        LiveLimits(ranking_items=2),
        LiveLimits(**LARGE),
        LiveLimits(**LARGE, narrow_items=0),
    ],
    ids=["kept", "a few are kept", "large", "large, searched for again"],
)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_items_are_filtered_by_id(model: Path, limits: LiveLimits, placement: str) -> None:
    base = Recommender.load(model)
    title = base.dataset.items["title"][base.dataset.item_ids.row("bread")]
    changed = {"twin": {"title": title}, "gone": {"title": title}, "milk": {"deleted": True}}
    every = LiveRecommender(base, LiveHistories(), changed)
    if limits.large_items == 5:
        as_if_large(base)
    shop = LiveRecommender(base, LiveHistories(), changed, limits=limits)
    view = ("bread",) if placement in ("goes_with", "similar") else ()
    query = Query(placement=placement, user="ann", items=view, n=20, exclude_seen=False, one_per_title=False)  # type: ignore[arg-type]
    ids = every.recommend(query).ids
    assert "milk" not in ids
    for only, never in (
        (("twin", "butter", "milk", "nothing"), ()),
        ((), ("twin", "nothing")),
        (("bread", "twin", "cake"), ("cake",)),
        (tuple(base.dataset.item_ids.all), ("bread", "jam")),
    ):
        asked = replace(query, include_items=only, exclude_items=never)
        expected = [item for item in ids if (not only or item in only) and item not in never]
        for _ in range(2):
            kept = shop.from_cache(asked)
            answer = shop.recommend(asked) if not hasattr(kept, "items") else kept
            assert answer.served != query.placement or set(answer.ids) == set(expected)
            assert not only or set(answer.ids) <= set(only)
            assert not set(answer.ids) & {*never, "milk"}


def test_named_items_that_are_kept_are_not_scored_again(model: Path) -> None:
    base = Recommender.load(model)
    shop = LiveRecommender(base, LiveHistories(), limits=LiveLimits(ranking_items=4))
    query = Query(user="ann", exclude_seen=False)
    best = shop.recommend(replace(query, n=4)).ids
    assert hasattr(shop.from_cache(replace(query, include_items=tuple(best[:3]))), "items")
    others = tuple(set(base.dataset.item_ids.all) - set(best))
    assert not hasattr(shop.from_cache(replace(query, include_items=(best[0], *others))), "items")
