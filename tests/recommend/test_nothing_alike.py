"""Lists about items in view end where nothing is like them, and never show the very product again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Placement, Query
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.pipeline.fit import fit
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.lists.eligible import FROM_ELSEWHERE
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.recommender import LiveRecommender
from tests.models.shops import tiny_shop

ROWS = (
    ("oxford-s", "Oxford Shirt White", ("Clothes", "Shirts"), "oxford"),
    ("oxford-m", "Oxford Shirt White", ("Clothes", "Shirts"), "oxford"),
    ("oxford-blue", "Oxford Shirt Blue", ("Clothes", "Shirts"), "oxford"),
    ("linen", "Linen Shirt Sand", ("Clothes", "Shirts"), "linen"),
    ("polo", "Linen Polo Navy", ("Clothes", "Polos"), ""),
    ("mug", "Stoneware Mug Grey", ("Home", "Mugs"), ""),
    ("bowl", "Stoneware Bowl Grey", ("Home", "Bowls"), ""),
    ("soap", "Olive Soap", ("Bath", "Soap"), ""),
)


def first_day(rows: tuple[tuple[str, str, tuple[str, ...], str], ...] = ROWS) -> Dataset:
    """A shop in which nothing has happened, as its catalogue describes it."""
    ids, titles, paths, groups = zip(*rows, strict=True)
    shop = tiny_shop()
    items = pl.concat([shop.items.head(1)] * len(rows)).with_columns(
        pl.Series("item_id", ids),
        pl.Series("title", titles),
        pl.Series("group", groups),
        pl.lit("").alias("brand"),
        pl.lit(True).alias("in_stock"),
    )
    return replace(
        shop,
        items=items,
        item_ids=Vocabulary(ids, what="item"),
        taxonomy=Taxonomy(tuple((path,) for path in paths), 1),
        users=shop.users.clear(),
        user_ids=Vocabulary([], what="user"),
        events=shop.with_events(np.zeros(len(shop.events), bool)).events,
    )


@pytest.fixture(scope="module")
def shop() -> Recommender:
    data = first_day()
    return fit(data, split_config=SplitConfig(), model_config=ModelConfig(encoder="none")).to_serve(data)


def asked(shop: Recommender, placement: Placement, item: str, **controls: object) -> list[str]:
    """Ids of a list; the same from a model and from a service, scored and from its cache."""
    query = Query(placement=placement, items=(item,), n=8, **controls)  # type: ignore[arg-type]
    answer, live = shop.recommend(query), LiveRecommender(shop, LiveHistories())
    assert live.recommend(query) == answer
    again = live.from_cache(query)
    assert again == answer or isinstance(again, Asked)
    assert answer.served == placement
    return answer.ids


def test_similar_is_shorter_rather_than_filled(shop: Recommender) -> None:
    assert asked(shop, "similar", "oxford-m") == ["linen", "polo"]  # of one department
    assert asked(shop, "similar", "mug") == ["bowl"]
    assert asked(shop, "similar", "soap") == []
    few = shop.recommend(Query(placement="similar", items=("mug",), n=8))
    assert "1 of 8: no more items fit the placement and its filters" in few.notices


def test_what_stands_elsewhere_has_to_be_very_much_alike() -> None:
    """In a supermarket of many aisles a word in common makes no substitutes."""
    aisles = [
        (f"{n}", " ".join(f"{kind}{n % kind}" for kind in (12, 10, 9, 7)), ("Food", f"Aisle{n}"), "")
        for n in range(120)
    ]
    rices = (
        ("rice", "Basmati Rice", ("Food", "Rice"), ""),
        ("organic", "Organic Basmati Rice", ("Food", "Organic"), ""),
    )
    data = first_day((*ROWS, *aisles, *rices))
    fitted = fit(data, split_config=SplitConfig(), model_config=ModelConfig(encoder="none")).to_serve(data)
    beside = fitted.resolve(Query(placement="similar", items=("7",))).context
    scores = fitted.ranker.score_batch(beside, "similar")[0]
    scores[data.item_ids.row("7")] = 0.0
    floor = fitted.ranker.floor("similar")
    alike = [data.item_ids.id(row) for row in np.flatnonzero(scores > FROM_ELSEWHERE * floor).tolist()]
    assert 0 < len(alike) < 8 < (scores > floor).sum()
    assert set(asked(fitted, "similar", "7")) == set(alike)
    assert asked(fitted, "similar", "rice") == ["organic"]
    assert asked(fitted, "similar", "mug") == ["bowl"]  # of a department that is small as a whole


def test_a_small_category_has_its_large_sisters_beside_it() -> None:
    """Few polos among many shirts, in a shop of few clothes: the shirts are near, the mugs are not."""
    shirts = [
        (f"shirt-{n}", f"Shirt {chr(97 + n)}{chr(99 + n)}", ("Clothes", "Shirts"), "") for n in range(20)
    ]
    data = first_day((*shirts, ("polo", "Navy Polo", ("Clothes", "Polos"), ""), *ROWS[5:]))
    view = CatalogueView.of(data, np.zeros(data.n_items, np.float32))
    near = view.neighbours(data.item_ids.rows(["polo"]), slice(None))
    assert [data.item_ids.id(row)[:5] for row in np.flatnonzero(near)] == ["shirt"] * 20 + ["polo"]
    own = view.neighbours(data.item_ids.rows(["shirt-3"]), slice(None))
    assert not own[data.item_ids.row("polo")]  # shirts are enough among themselves


def test_near_a_cart_is_what_is_near_one_of_its_items() -> None:
    shirts = [(f"shirt-{n}", f"Shirt {n}", ("Clothes", "Shirts"), "") for n in range(20)]
    bare = ("bare", "No category", (), "")
    data = first_day((*shirts, *ROWS, bare))
    view = CatalogueView.of(data, np.zeros(data.n_items, np.float32))
    for cart in (["polo", "mug"], ["shirt-3", "soap", "soap"], ["bare", "bowl"], list(data.item_ids.all)):
        rows = data.item_ids.rows(cart)
        each = [view.neighbours(rows[at : at + 1], slice(None)) for at in range(len(rows))]
        np.testing.assert_array_equal(view.neighbours(rows, slice(None)), np.logical_or.reduce(each))
        some = np.arange(0, data.n_items, 3)
        np.testing.assert_array_equal(view.neighbours(rows, some), view.neighbours(rows, slice(None))[some])


def test_other_sizes_are_no_similar_products_unless_each_is_asked_for(shop: Recommender) -> None:
    each = asked(shop, "similar", "oxford-m", one_per_title=False)
    assert each[:2] == ["oxford-s", "oxford-blue"]


def test_a_group_of_several_brands_is_a_kind_of_product() -> None:
    """Forty yogurts in one group: another yogurt is like this one."""
    data = first_day()
    brands = pl.Series("brand", ["alba", "rook", "", "alba", "", "", "", ""])
    kinds = replace(data, items=data.items.with_columns(brands))
    fitted = fit(kinds, split_config=SplitConfig(), model_config=ModelConfig(encoder="none"))
    assert asked(fitted.to_serve(kinds), "similar", "oxford-m")[0] == "oxford-s"


@pytest.mark.parametrize(
    ("titles", "names_products"),
    [(("Soap", "Mug", "Bowl", "Lamp"), True), (("Soap", "Soap", "Bowl", "Bowl"), False)],
)
def test_a_name_is_that_of_a_product_unless_most_share_theirs(
    titles: tuple[str, ...], names_products: bool
) -> None:
    data = first_day()
    title = pl.Series("title", ["Shirt A", "Shirt B", "Shirt C", "Shirt D", *titles])
    group = pl.Series("group", ["a", "a", "a", "a", "", "", "", ""])
    view = CatalogueView.of(
        replace(data, items=data.items.with_columns(title, group)), np.zeros(8, np.float32)
    )
    assert view.one_product.tolist() == [True] * 4 + [names_products] * 4


@pytest.mark.parametrize("n", [19, 20])
def test_a_category_that_is_large_enough_has_substitutes_of_its_own(n: int) -> None:
    """Socks of its brand are not similar to a wallet, where there are wallets enough."""
    shop = tiny_shop()
    ids = [*(f"wallet{at}" for at in range(n)), "socks", "bare"]
    paths = [*((("Men", "Wallets"),) for _ in range(n)), (("Men", "Socks"),), ()]
    titles = [f"leather wallet {at}" for at in range(n)]
    items = pl.concat([shop.items.head(n), shop.items.tail(2)]).with_columns(
        pl.Series("item_id", ids),
        pl.Series("title", [*titles, "leather socks", "leather"]),
        pl.lit("").alias("brand"),
        pl.lit(True).alias("in_stock"),
    )
    data = replace(
        shop.with_events(np.zeros(len(shop.events), bool)),
        items=items,
        item_ids=Vocabulary(ids, what="item"),
        taxonomy=Taxonomy(tuple(paths), 1),
    )
    served = fit(data, split_config=SplitConfig(), model_config=ModelConfig(encoder="none")).to_serve(data)
    found = served.recommend(Query(placement="similar", items=("wallet0",), n=30)).ids
    assert {"wallet1", f"wallet{n - 1}", "bare"} <= set(found)  # of no known category: it may be a wallet
    assert ("socks" in found) == (n == 19)


def test_before_the_first_event_only_what_has_something_in_common_goes_with_an_item(
    shop: Recommender,
) -> None:
    assert asked(shop, "goes_with", "linen") == ["polo"]
    assert asked(shop, "goes_with", "soap") == []


def test_a_similar_item_may_still_be_ruled_in(shop: Recommender) -> None:
    """Rules of a merchandiser are not questioned: a pinned item needs to be like nothing."""
    from crossaisle.data.merchandising.rules import RuleSet

    pin = {"id": "p", "action": "pin", "items": ["item:bowl"], "position": 1}
    pinned = shop.with_rules(RuleSet.of([pin], "test"))
    assert asked(pinned, "similar", "linen")[0] == "bowl"
    assert asked(pinned, "similar", "soap") == ["bowl"]


def test_what_popularity_ranks_is_not_similar(shop: Recommender) -> None:
    """With events, too: an item without a text has no similar ones."""
    data = tiny_shop()
    silent = replace(
        data,
        items=data.items.with_columns(
            pl.when(pl.col("item_id") == "milk1").then(pl.lit("")).otherwise("title").alias("title"),
            pl.when(pl.col("item_id") == "milk1").then(pl.lit("")).otherwise("brand").alias("brand"),
        ),
        taxonomy=data.taxonomy.changed({1: ()}, []),
    )
    fitted = fit(silent, split_config=SplitConfig(), model_config=ModelConfig(encoder="none"))
    served = fitted.to_serve(silent)
    answer = served.recommend(Query(placement="similar", items=("milk1",), n=5))
    assert (answer.ids, answer.served) == ([], "similar")
    assert served.recommend(Query(placement="similar", items=("milk2",), n=5)).ids
