"""When a large shop retrieves more candidates, and when it need not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.data.query import Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.serve.conftest import as_if_large


@pytest.mark.parametrize("narrow", [1000, 2, 0])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_that_cannot_be_reached_leaves_no_list_short(model: Path, share: float, narrow: int) -> None:
    base = Recommender.load(model)
    query = Query(user="ann", n=8, cross_share=share, quota=4)
    expected = base.recommend(query)
    as_if_large(base)
    limits = LiveLimits(large_items=5, retrieved_items=3, narrow_items=narrow)
    (found,) = LiveRecommender(base, LiveHistories(), limits=limits).score_many([query])
    assert not isinstance(found, Exception)
    assert len(found) == len(expected)
    assert found.cross_share == expected.cross_share
