"""A shirt goes with a blazer although both are topwear, where a knowledge file says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.query import Query
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.knowledge.check import check
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.models.shops import tiny_shop

LEAVES = ("Blazers", "Shirts", "Tshirts")
BLAZER_SHIRT = Rule(kind="goes with", source="Blazers", target="Shirts", strength=0.9)
SHOES = Rule(kind="goes with", source="Blazers", target="Shoes", strength=0.8)


def recommender(*rules: Rule) -> Recommender:
    """Two of each leaf category of one category, Topwear, and two shoes; all of a brand of their own."""
    shop = tiny_shop()
    paths = [*(("Topwear", leaf) for leaf in LEAVES for _ in range(2)), *[("Shoes", "Shoes")] * 2]
    ids = [f"{path[1].lower()[:-1]}{at % 2}" for at, path in enumerate(paths)]
    items = shop.items.head(8).with_columns(
        pl.Series("item_id", ids),
        pl.Series("title", [f"black wool {item}" for item in ids]),
        pl.Series("brand", ids),
        pl.lit(True).alias("in_stock"),
    )
    first_day = replace(
        shop.with_events(np.zeros(len(shop.events), bool)),
        items=items,
        item_ids=Vocabulary(ids, what="item"),
        taxonomy=Taxonomy(tuple((path,) for path in paths), 0),
    )
    parts = {
        "popularity": Popularity(),
        "tfidf": TfidfSimilarity(),
        "knowledge": Knowledge(rules=rules),
    }
    weights = {
        "for_you": {"popularity": 1.0},
        "similar": {"tfidf": 1.0},
        "goes_with": {"tfidf": 1.0, "knowledge": 1.0},
    }
    return Recommender(first_day, Blend(parts=parts, weights=weights).fit(first_day))


def beside(shop: Recommender, *items: str) -> set[str]:
    """Kinds of what goes with items, the same from a model and a service."""
    query = Query(placement="goes_with", items=items, n=8)
    found = shop.recommend(query)
    assert LiveRecommender(shop, LiveHistories()).recommend(query).ids == found.ids
    return {name[:-1] for name in found.ids}


def test_a_line_within_a_category_opens_the_pair() -> None:
    assert beside(recommender(SHOES), "blazer0") == {"shoe"}
    assert beside(recommender(SHOES, BLAZER_SHIRT), "blazer0") == {"shoe", "shirt"}
    assert beside(recommender(SHOES, BLAZER_SHIRT), "shirt0") == {"shoe", "blazer"}
    assert beside(recommender(SHOES, BLAZER_SHIRT), "tshirt0") == {"shoe"}


def test_check_knows_what_another_line_opens(tmp_path: Path) -> None:
    """ "Never with" keeps apart what a coarser line would let in."""
    file, shop = tmp_path / "k.csv", recommender().dataset
    never = "never with,Topwear > Tshirts,Topwear > Shirts\n"
    file.write_text(f"rule,from,to\n{never}")
    assert len(check(file, shop).without_effect) == 1
    file.write_text(f"rule,from,to\ngoes with,Topwear > Blazers,Topwear > Shirts\n{never}")
    assert len(check(file, shop).without_effect) == 1
    file.write_text(f"rule,from,to\ngoes with,Topwear,Topwear > Shirts\n{never}")
    assert check(file, shop).without_effect == ()


def test_one_of_a_kind_is_enough() -> None:
    """With a shirt beside the blazer, no second shirt."""
    assert beside(recommender(SHOES, BLAZER_SHIRT), "blazer0", "shirt1") == {"shoe"}


def test_one_way_opens_one_way() -> None:
    one_way = replace(BLAZER_SHIRT, direction="one way")
    assert "shirt" in beside(recommender(one_way), "blazer0")
    assert "blazer" not in beside(recommender(one_way), "shirt0")


@pytest.mark.parametrize("target", ["Topwear", "Blazers"])
def test_a_whole_category_is_not_opened_to_its_own_kinds(target: str) -> None:
    """ "Blazers go with topwear" opens shirts and T-shirts, never other blazers."""
    found = beside(recommender(replace(BLAZER_SHIRT, target=target)), "blazer0")
    assert "blazer" not in found
    assert ("shirt" in found) == (target == "Topwear")


def test_what_goes_with_an_item_is_not_similar_to_it() -> None:
    for rules, similar in (
        ((SHOES,), {"blazer", "shirt", "tshirt"}),
        ((BLAZER_SHIRT,), {"blazer", "tshirt"}),
    ):
        shop = recommender(*rules)
        found = shop.recommend(Query(placement="similar", items=("blazer0",), n=8)).ids
        assert {name[:-1] for name in found} == similar


def test_never_with_wins() -> None:
    never = Rule(kind="never with", source="Shirts", target="Blazers")
    assert beside(recommender(SHOES, BLAZER_SHIRT, never), "blazer0") == {"shoe"}


def test_twins_of_a_brand_do_not_fill_the_list_of_a_first_day() -> None:
    """Of one brand and category one is shown beside an item, unless the list would stay short."""
    shop = recommender(SHOES)
    twins = replace(
        shop.dataset, items=shop.dataset.items.with_columns(pl.Series("brand", [*"abcdef", "x", "x"]))
    )
    one = Recommender(twins, shop.blend).recommend(Query(placement="goes_with", items=("blazer0",), n=1))
    assert len(one) == 1
    both = Recommender(twins, shop.blend).recommend(Query(placement="goes_with", items=("blazer0",), n=8))
    assert len(both) == 2
    spread = recommender(SHOES, BLAZER_SHIRT)
    brands = pl.Series("brand", [*"ab", "x", "x", *"ef", "y", "z"])
    spread = Recommender(
        replace(spread.dataset, items=spread.dataset.items.with_columns(brands)), spread.blend
    )
    first = spread.recommend(Query(placement="goes_with", items=("blazer0",), n=3)).ids
    assert {name[:-1] for name in first} == {"shirt", "shoe"}
    assert len([name for name in first if name.startswith("shirt")]) == 1
    # A quota is about categories, and brings no twins back.
    asked = spread.recommend(Query(placement="goes_with", items=("blazer0",), n=3, quota=2)).ids
    assert len([name for name in asked if name.startswith("shirt")]) == 1
