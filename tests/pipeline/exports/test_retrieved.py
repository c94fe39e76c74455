"""Lists of a shop that counts as large are those from the scores of all items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crossaisle.data.query import Query
from crossaisle.pipeline.exports.retrieved import recommend_each
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP, recommender

USERS = list(SHOP.user_ids.all)


def told(answers: list[RecommendationList]) -> list[tuple[Any, ...]]:
    """What a reader sees of lists, scores apart."""
    return [(answer.served, answer.notices, [replace(r, score=0.0) for r in answer]) for answer in answers]


@pytest.mark.parametrize(
    "controls",
    [
        {},
        {"placement": "discover"},
        {"placement": "buy_again"},
        {"placement": "trending"},
        {"quota": 1},
        {"cross_share": 0.5},
        {"max_price": 3.0},
        {"diversity": 0.5},
        {"include_categories": ("Dairy", "Paint")},
        {"explain": True},
        {"n": 2, "offset": 2},
        {"n": 500},
    ],
    ids=str,
)
def test_the_same_lists(controls: dict[str, Any]) -> None:
    queries = [Query(user=user, **controls) for user in [*USERS, "a stranger"]]
    exhaustive = FITTED.recommend_many(queries)
    found = recommend_each(FITTED, queries, large_items=0)
    assert told(found) == told(exhaustive)
    for one, other in zip(found, exhaustive, strict=True):
        assert [r.score for r in one] == pytest.approx([r.score for r in other], abs=1e-6)


def test_only_what_filters_leave_little_of_is_scored_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    whole = Recommender.recommend_many

    def counting(self: Recommender, queries: list[Query]) -> list[RecommendationList]:
        scored.append(len(queries))
        return whole(self, queries)

    monkeypatch.setattr(Recommender, "recommend_many", counting)
    plain = Query(user=USERS[0], n=3)
    recommend_each(recommender(repeats=True), [plain, replace(plain, max_price=0.5), plain], large_items=0)
    assert scored == [1]
    recommend_each(FITTED, [plain, plain], large_items=SHOP.n_items)
    assert scored == [1, 2]
