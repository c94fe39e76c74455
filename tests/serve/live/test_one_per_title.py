"""A title once per list, and what never goes together: in a live shop with new items, large or small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.query import Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.serve.conftest import as_if_large

LIMITS = {
    "kept": LiveLimits(),
    "a few are kept": LiveLimits(ranking_items=2),
    "large": LiveLimits(large_items=5, retrieved_items=2),
}


def answers(shop: LiveRecommender, query: Query) -> list[RecommendationList]:
    """Scored, and from what is kept where that is enough."""
    scored, kept = shop.recommend(query), shop.from_cache(query)
    return [scored, kept] if isinstance(kept, RecommendationList) else [scored]


def body_of(base: Recommender, item: str) -> dict[str, object]:
    row = base.dataset.item_ids.row(item)
    values = base.dataset.items.row(row, named=True)
    return {
        "title": values["title"],
        "brand": values["brand"],
        "categories": [list(path) for path in base.dataset.taxonomy.paths[row]],
    }


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_a_new_item_of_a_title_that_is_there_does_not_stand_beside_it(
    model: Path, limits: LiveLimits
) -> None:
    base = Recommender.load(model)
    if limits.large_items == 5:
        as_if_large(base)
    shop = LiveRecommender(base, LiveHistories(), {"twin": body_of(base, "bread")}, limits=limits)
    query = Query(user="ann", n=20, exclude_seen=False)
    for answer in answers(shop, query):
        assert len({"bread", "twin"} & set(answer.ids)) == 1
        [shown] = [item for item in answer if item.item_id in ("bread", "twin")]
        assert shown.more_like_it == 1
        assert sum(item.more_like_it for item in answer) == 1
    for answer in answers(shop, replace(query, one_per_title=False)):
        assert {"bread", "twin"} <= set(answer.ids)
    gone = {"twin": body_of(base, "bread"), "bread": {"deleted": True}}
    for answer in answers(LiveRecommender(base, LiveHistories(), gone, limits=limits), query):
        assert "twin" in answer.ids
        assert not any(item.more_like_it for item in answer), "what is gone is not offered as more"


def test_a_change_of_prices_leaves_the_groups_as_they_are(model: Path) -> None:
    base = Recommender.load(model)
    first = LiveRecommender(base, LiveHistories())
    second = LiveRecommender(base, LiveHistories(), {"bread": {"price": 9.0}}, before=first)
    assert second.view.same_title is base.view.same_title
    third = LiveRecommender(base, LiveHistories(), {"bread": {"title": "Rolls"}}, before=second)
    assert third.view.same_title is not base.view.same_title
    assert third.view.same_brand is base.view.same_brand


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_new_items_obey_what_never_goes_together(model: Path, limits: LiveLimits) -> None:
    plain = Recommender.load(model)
    bread, milk = (
        plain.dataset.taxonomy.paths[plain.dataset.item_ids.row(i)][0][0] for i in ("bread", "milk")
    )
    rules = (Rule(kind="never with", source=milk, target=bread, reason="house rule"),)
    part = Knowledge(rules=rules).fit(plain.dataset)
    blend = Blend(parts={**plain.blend.parts, "knowledge": part}, weights=plain.blend.weights)
    base = Recommender(plain.dataset, blend, repeats=plain.repeats)
    for recommender in (plain, base):
        if limits.large_items == 5:
            as_if_large(recommender)
    changed = {"rolls": {**body_of(plain, "bread"), "title": "Fresh bread rolls"}}
    query = Query(placement="goes_with", items=("milk",), n=20)
    free = LiveRecommender(plain, LiveHistories(), changed, limits=limits)
    shop = LiveRecommender(base, LiveHistories(), changed, limits=limits)
    assert {"bread", "rolls"} & set(free.recommend(query).ids)
    for answer in answers(shop, query):
        assert not {"bread", "rolls"} & set(answer.ids)
        assert f"left out: we keep {milk} and {bread} apart (house rule)" in answer.notices
