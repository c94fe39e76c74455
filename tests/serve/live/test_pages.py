"""Pages of a live shop are those of the recommender: kept, scored again, or searched for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.query import Placement, Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.recommend.shop import FITTED
from tests.serve.conftest import as_if_large

CONTROLS: list[dict[str, Any]] = [
    {},
    {"cross_share": 0.5},
    {"cross_share": 1.0, "quota": 2},
    {"cross_share": 0.3, "diversity": 0.5},
    {"diversity": 1.0},
    {"placement": "trending", "cross_share": 0.5},
]


@pytest.mark.parametrize("more", CONTROLS)
@pytest.mark.parametrize(
    "limits",
    [
        LiveLimits(),
        LiveLimits(ranking_items=3),
        LiveLimits(large_items=5, retrieved_items=3),
        LiveLimits(large_items=5, retrieved_items=4, narrow_items=0),
    ],
    ids=["kept", "a few are kept", "large", "large, searched for again"],
)
def test_pages_are_those_of_the_recommender(model: Path, limits: LiveLimits, more: dict[str, Any]) -> None:
    base = Recommender.load(model)
    if limits.large_items == 5:
        as_if_large(base)
    shop = LiveRecommender(base, LiveHistories(), limits=limits)
    query = Query(user="ann", n=2, exclude_seen=False, **more)
    for _ in range(2):  # scored, then kept
        for offset in (0, 2, 4, 3, 6, 8):
            asked = replace(query, offset=offset)
            kept = shop.from_cache(asked)
            answer = shop.recommend(asked) if not hasattr(kept, "items") else kept
            assert answer.ids == base.recommend(asked).ids, offset


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["for_you", "discover", "trending", "similar"]),
    st.sampled_from(["u0", "u1", "stranger"]),
    st.integers(1, 6),
    st.none() | st.floats(0, 1),
    st.sampled_from([None, 0.5]),
    st.none() | st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([0, 4, 1000]),
    st.sampled_from([1, 6, 1000]),
)
def test_pages_of_a_large_shop_hold_no_item_twice(
    placement: Placement,
    user: str,
    n: int,
    share: float | None,
    diversity: float | None,
    quota: int | None,
    retrieved: int,
    narrow: int,
    kept: int,
) -> None:
    limits = LiveLimits(large_items=5, retrieved_items=retrieved, narrow_items=narrow, ranking_items=kept)
    shop = LiveRecommender(FITTED, LiveHistories(), limits=limits)
    view = ("bread1",) if placement == "similar" else ()
    query = Query(
        placement=placement,
        user=user,
        items=view,
        n=n,
        cross_share=None if placement == "discover" else share,
        diversity=diversity,
        quota=quota,
    )
    ids: list[str] = []
    while page := shop.recommend(replace(query, offset=len(ids))).ids:
        ids += page
        if len(page) < n:
            break
    assert len(set(ids)) == len(ids)
    assert shop.recommend(replace(query, n=40, page=n)).ids == ids
    assert len(ids) == len(FITTED.recommend(replace(query, n=40)))
