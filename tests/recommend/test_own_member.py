"""Lists that are not about the user show of a family the product that the user had."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import Placement, Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.models.shops import tiny_shop


@pytest.fixture(scope="module")
def shop() -> Recommender:
    """Milk 0 to 4 are one family, and so is all bread; of several brands: each is a kind of product."""
    data = tiny_shop()
    kinds = pl.col("item_id").str.slice(0, 4).replace({"spad": "", "pain": ""})
    grouped = replace(data, items=data.items.with_columns(kinds.alias("group")))
    parts = {"popularity": Popularity(), "tfidf": TfidfSimilarity()}
    weights = {"for_you": {"popularity": 1.0}, "similar": {"tfidf": 1.0}}
    return Recommender(grouped, Blend(parts=parts, weights=weights).fit(grouped))


def shown(shop: Recommender, kind: str, placement: Placement = "trending", **asked: object) -> list[str]:
    """The items of a family in a list; the same from a model and from a service, scored and kept."""
    query = Query(placement=placement, n=20, **asked)  # type: ignore[arg-type]
    answer, live = shop.recommend(query), LiveRecommender(shop, LiveHistories())
    assert live.recommend(query) == answer
    assert live.from_cache(query) == answer
    return [item for item in answer.ids if item.startswith(kind)]


def test_what_was_had_last_is_shown(shop: Recommender) -> None:
    [best] = shown(shop, "milk")
    for item in ("milk1", "milk2", "milk3", "milk4"):
        assert shown(shop, "milk", history=("milk0", item)) == [item]
        assert shown(shop, "milk", history=(item, "spade1")) == [item]
    assert shown(shop, "milk", history=("spade1",)) == [best]
    assert len(shown(shop, "milk", history=("milk1",), one_per_title=False)) == 5


def test_score_and_reason_are_those_of_the_family(shop: Recommender) -> None:
    plain = shop.recommend(Query(placement="trending", n=20, explain=True))
    query = Query(placement="trending", n=20, history=("milk3", "bread3"), explain=True)
    own, live = shop.recommend(query), LiveRecommender(shop, LiveHistories())
    assert [item.score for item in own] == [item.score for item in plain]
    shown = {item.item_id: item for item in own}
    replaced = {shown["milk3"].in_place_of, shown["bread3"].in_place_of}
    assert replaced == set(plain.ids) - set(own.ids)
    assert all(not item.in_place_of for item in own if item.item_id not in ("milk3", "bread3"))
    for item in (shown["milk3"], shown["bread3"]):
        assert item.evidence is not None
        assert item.evidence.item_id == item.in_place_of
        assert item.evidence.score == pytest.approx(item.score)
    bread = shown["bread3"].evidence
    assert bread is not None
    assert bread.text == "Popular in several versions; you chose it before."
    bare = [replace(item, evidence=None) for item in own]
    assert live.explained(query, bare, own.served) == list(own)


def test_of_a_user_it_is_said_what_was_done_with_it(shop: Recommender) -> None:
    user = shop.dataset.user_ids.id(0)
    found = shop.recommend(Query(placement="trending", user=user, n=20, explain=True))
    own = [item for item in found if item.in_place_of]
    assert own
    for item in own:
        assert item.evidence is not None
        assert item.evidence.text.endswith("ou bought it before.")


def test_the_place_is_that_of_the_family(shop: Recommender) -> None:
    def kinds(*history: str) -> list[str]:
        answer = shop.recommend(Query(placement="trending", n=20, history=history or None))
        return [item[:4] if item[:4] in ("milk", "brea") else item for item in answer.ids]

    assert kinds("milk3", "bread4") == kinds()


def test_beside_an_item_the_own_one_is_similar(shop: Recommender) -> None:
    for own in ("milk1", "milk3"):
        query = Query(placement="similar", items=("milk2",), history=(own,), n=10)
        assert [item for item in shop.recommend(query).ids if item.startswith("milk")] == [own]


def test_what_may_not_be_shown_is_not(shop: Recommender) -> None:
    [best] = shown(shop, "bread")
    assert shown(shop, "bread", history=("bread0",)) == [best]  # out of stock
    assert shown(shop, "milk", history=("milk3",), exclude_items=("milk3",)) != ["milk3"]
    assert shown(shop, "milk", history=("milk5",)) != ["milk5"]  # no model can score it
    dear = shop.recommend(Query(placement="trending", n=20, history=("milk4",), max_price=4.0)).ids
    assert "milk4" not in dear
    never = {"id": "n", "action": "never", "items": ["item:milk3"]}
    assert shown(shop.with_rules(RuleSet.of([never], "test")), "milk", history=("milk3",)) != ["milk3"]


def test_a_pinned_item_stays_itself(shop: Recommender) -> None:
    pin = {"id": "p", "action": "pin", "items": ["item:milk1"], "position": 1}
    ruled = shop.with_rules(RuleSet.of([pin], "test"))
    assert shown(ruled, "milk", history=("milk3",)) == ["milk1"]


def test_limits_on_brands_hold(shop: Recommender) -> None:
    """The own one may be of another brand."""
    query = Query(placement="trending", n=20, history=("milk4",), max_per_brand=1)
    answer = shop.recommend(query)
    brands = shop.dataset.items["brand"].gather(shop.dataset.item_ids.rows(answer.ids)).to_list()
    assert len(brands) == len(set(brands))
