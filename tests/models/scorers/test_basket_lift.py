"""What goes into a basket with a cart, by counts that back off from items to categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.models.scorers.basket_lift import BasketLift
from tests.data.splits.test_carts import with_baskets
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestContract(ScorerContract):
    weighs_query = False  # a cart is a set

    def make(self) -> BasketLift:
        return BasketLift(item_shrink=2.0, category_shrink=3.0)


def test_scores_are_logarithms_of_shares() -> None:
    """ln P(j | i) - ln P(j), the shares of the item backing off to those of its category."""
    shop = with_baskets()
    model = BasketLift(item_shrink=2.0, category_shrink=3.0, half_life_days=None).fit(shop)
    trips, codes = shop.basket_matrix().toarray(), shop.taxonomy.codes()
    item = shop.item_ids.row("milk0")
    everyone = trips.mean(axis=0)
    of_category = trips[(trips[:, codes == codes[item]] > 0).any(axis=1)]
    category = (of_category.sum(axis=0) + 3.0 * everyone) / (len(of_category) + 3.0)
    with_item = trips[trips[:, item] > 0]
    share = (with_item.sum(axis=0) + 2.0 * category) / (len(with_item) + 2.0)
    share = np.where(with_item.sum(axis=0) > 0, share, category)  # never together: as in the category
    others = (codes != codes[item]) & (everyone > 0)
    expected = np.log(share[others]) - np.log(everyone[others])
    found = model.score_rows(Histories.of([[item]]))[0, others]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_leaf_categories_stand_between_items_and_categories() -> None:
    shop = with_baskets()
    deep = tuple(((*paths[0][:1], f"{name[0]}{i % 2}"),) for i, (name, paths) in enumerate(_named(shop)))
    shop = replace(shop, taxonomy=Taxonomy(deep))
    model = BasketLift(half_life_days=None, item_shrink=2.0, leaf_shrink=4.0, category_shrink=3.0).fit(shop)
    assert not np.array_equal(shop.taxonomy.codes(), shop.taxonomy.codes(-1))
    trips, item = shop.basket_matrix().toarray(), shop.item_ids.row("milk0")

    def backed_off(rows: np.ndarray, above: np.ndarray, shrink: float) -> np.ndarray:
        found = (rows.sum(axis=0) + shrink * above) / (len(rows) + shrink)
        return np.asarray(found)

    share = trips.mean(axis=0)
    for codes, shrink in ((shop.taxonomy.codes(), 3.0), (shop.taxonomy.codes(-1), 4.0)):
        share = backed_off(trips[(trips[:, codes == codes[item]] > 0).any(axis=1)], share, shrink)
    with_item = trips[trips[:, item] > 0]
    share = np.where(with_item.sum(axis=0) > 0, backed_off(with_item, share, 2.0), share)
    others = np.flatnonzero((shop.taxonomy.codes() != shop.taxonomy.codes()[item]) & (trips.sum(axis=0) > 0))
    found = model.score_rows(Histories.of([[item]]))[0, others]
    np.testing.assert_allclose(
        found, np.log(share[others] / trips.mean(axis=0)[others]), rtol=1e-4, atol=1e-5
    )


def _named(shop: Dataset) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    return list(zip(shop.item_ids.all, shop.taxonomy.paths, strict=True))


def test_older_baskets_count_less() -> None:
    shop = with_baskets(each=2)
    now = BasketLift(half_life_days=0.5, item_shrink=1.0).fit(shop)
    always = BasketLift(half_life_days=None, item_shrink=1.0).fit(shop)
    assert not np.allclose(now.weights_.toarray(), always.weights_.toarray())
    timeless = replace(shop, events=replace(shop.events, time=None))
    same = BasketLift(half_life_days=0.5, item_shrink=1.0).fit(timeless)
    np.testing.assert_array_equal(same.weights_.toarray(), always.weights_.toarray())


def test_only_the_most_bought_items_are_scored() -> None:
    scores = BasketLift(max_items=5).fit(tiny_shop()).score([["milk0", "bread0"]])[0]
    assert np.count_nonzero(~np.isnan(scores)) == 5
