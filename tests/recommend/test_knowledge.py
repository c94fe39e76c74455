"""What a knowledge file does to lists: what never goes together, and why something does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.query import Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.explain import Paired
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.wording.names import told
from tests.models.shops import tiny_shop

SHOP = tiny_shop()
BREAKFAST = Rule(kind="goes with", source="Milk", target="Bread", strength=0.9, reason="breakfast")
NEVER = Rule(kind="never with", source="Milk", target="Paint", direction="one way", reason="it spoils")


def recommender(*rules: Rule) -> Recommender:
    parts = {"popularity": Popularity(), "item_knn": ItemKNN(), "knowledge": Knowledge(rules=rules)}
    weights = {
        "for_you": {"popularity": 1.0},
        "goes_with": {"popularity": 1.0, "knowledge": 1.0},
    }
    return Recommender(SHOP, Blend(parts=parts, weights=weights).fit(SHOP))


def kinds(shop: Recommender, item: str, **controls: object) -> set[str]:
    found = shop.recommend(Query(placement="goes_with", items=(item,), n=24, **controls))  # type: ignore[arg-type]
    return {name[:-1] for name in found.ids}


def test_what_never_goes_together_is_left_out_and_said() -> None:
    shop = recommender(BREAKFAST, NEVER)
    assert kinds(recommender(BREAKFAST), "milk1") == {"bread", "spade", "paint"}
    assert kinds(shop, "milk1") == {"bread", "spade"}
    assert kinds(shop, "paint1") == {"bread", "spade", "milk"}, "one way"
    answer = shop.recommend(Query(placement="goes_with", items=("milk1",), n=3))
    assert "left out: we keep Milk and Paint apart (it spoils)" in answer.notices


def test_nothing_is_said_of_a_rule_that_left_nothing_out() -> None:
    shop = recommender(NEVER)
    for query in (
        Query(placement="goes_with", items=("bread1",), n=3),
        Query(placement="goes_with", items=("milk1",), n=3, exclude_categories=("Paint",)),
        Query(placement="for_you", user="u0", n=3),
    ):
        assert not any("left out" in notice for notice in shop.recommend(query).notices)


def test_one_forbidding_item_of_a_cart_is_enough() -> None:
    shop = recommender(NEVER)
    cart = shop.recommend(Query(placement="goes_with", items=("spade0", "milk1"), n=24))
    assert {name[:-1] for name in cart.ids} == {"bread"}


def test_other_lists_do_not_know_the_rule() -> None:
    shop = recommender(NEVER)
    found = shop.recommend(Query(placement="discover", history=("milk1",), n=24))
    assert "paint" in {name[:-1] for name in found.ids}


def test_the_reason_of_the_file_is_named() -> None:
    shop = recommender(BREAKFAST)
    found = shop.recommend(Query(placement="goes_with", items=("milk1",), n=2, explain=True))
    for item in found:
        assert item.item_id.startswith("bread")
        assert item.evidence is not None
        assert item.evidence.knowledge == "we pair Milk with Bread (breakfast)"
        assert item.evidence.paired == Paired(("Milk", "Bread"), "breakfast")
        assert "; we pair Milk with Bread (breakfast)." in item.evidence.text
        [milk] = [c for c in item.evidence.contributions if c.item_id == "milk1"]
        assert milk.reasons["known to go together"] == pytest.approx(2.302585, abs=1e-4)
    other = shop.recommend(
        Query(placement="goes_with", items=("milk1",), n=1, include_categories=("Paint",), explain=True)
    )
    assert other.items[0].evidence is not None
    assert other.items[0].evidence.knowledge is None


def test_that_something_goes_with_its_own_kind_is_no_reason() -> None:
    for rule, said in ((Rule(kind="goes with", source="Dairy", target="Dairy"), False), (BREAKFAST, True)):
        shop = recommender(rule)
        weights = {"discover": {"popularity": 1.0, "knowledge": 1.0}, "for_you": {"popularity": 1.0}}
        shop = Recommender(SHOP, Blend(parts=shop.blend.parts, weights=weights))
        item = "milk2" if not said else "bread2"
        assert ("we pair" in shop.explain(("milk1",), item, placement="discover").text) == said


def test_a_saved_model_needs_no_file(tmp_path: Path) -> None:
    shop = recommender(BREAKFAST, NEVER)
    shop.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    query = Query(placement="goes_with", items=("milk1",), n=5, explain=True)
    assert again.recommend(query) == shop.recommend(query)
    assert again.blend.rules == (BREAKFAST, NEVER)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(kind="goes with", source="Dairy > Milk", target="Bread"), "we pair Milk with Bread"),
        (Rule(kind="staple", source="Milk", reason="Daily."), "we pair Milk with everything (Daily)"),
        (Rule(kind="never with", source="Milk", target="item:spade0"), "we keep Milk and Spade apart"),
        (Rule(kind="goes with", source="category:Bread", target="spade0"), "we pair Bread with Spade"),
    ],
)
def test_a_shop_says_a_rule_in_words(rule: Rule, said: str) -> None:
    titles = SHOP.items["title"].to_list()
    titles[SHOP.item_ids.row("spade0")] = "Spade"
    assert told(replace(SHOP, items=SHOP.items.with_columns(title=pl.Series(titles))), rule) == said
