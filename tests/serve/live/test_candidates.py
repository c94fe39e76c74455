"""What a large shop looks at again, and what it need not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.data.query import Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender


@pytest.mark.parametrize("narrow", [1000, 2, 0])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_that_cannot_be_reached_leaves_no_list_short(
    model: Path, share: float, narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Recommender.load(model)
    query = Query(user="ann", n=8, cross_share=share, quota=4)
    expected = base.recommend(query)
    for module in ("models.scorers.content", "serve.live.new_items", "serve.live.recommender"):
        monkeypatch.setattr(f"crossaisle.{module}.LARGE", 5)
    monkeypatch.setattr("crossaisle.recommend.recommender.NOMINATED", 3)
    monkeypatch.setattr("crossaisle.serve.live.candidates.NARROW", narrow)
    (found,) = LiveRecommender(base, LiveHistories()).slow([query])
    assert not isinstance(found, Exception)
    assert len(found) == len(expected)
    assert found.cross_share == expected.cross_share
