from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from crossaisle.data.history import Decay, Histories
from crossaisle.models.scorers.item_item import keep_strongest
from crossaisle.models.scorers.item_knn import ItemKNN, similarities
from tests.data.splits.test_carts import with_baskets
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestCosine(ScorerContract):
    def make(self) -> ItemKNN:
        return ItemKNN(shrink=2.0, decay=Decay(events=2.0))


class TestConditional(ScorerContract):
    def make(self) -> ItemKNN:
        return ItemKNN(similarity="conditional", shrink=2.0, combine="max", decay=Decay(half_life_days=3.0))


@pytest.mark.parametrize("similarity", ["cosine", "conditional"])
def test_weights_are_the_formula(similarity: str) -> None:
    shop = tiny_shop()
    users = shop.matrix().toarray()
    together, n = users.T @ users, users.sum(axis=0)
    norm = np.sqrt(np.outer(n, n)) if similarity == "cosine" else np.tile(n[:, None], (1, len(n)))
    expected = together / (norm + 5.0)
    np.fill_diagonal(expected, 0.0)
    model = ItemKNN(similarity=similarity, shrink=5.0).fit(shop)  # type: ignore[arg-type]
    np.testing.assert_allclose(model.weights_.toarray(), expected, rtol=1e-6)


def test_baskets_count_trips_instead_of_users() -> None:
    shop = with_baskets()
    trips = shop.basket_matrix().toarray()
    assert trips.shape[0] == len(shop.events) // 4
    model = ItemKNN(baskets=True, similarity="conditional", shrink=0.0).fit(shop)
    expected = trips.T @ trips / np.maximum(trips.sum(axis=0), 1.0)[:, None]
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(model.weights_.toarray(), expected, rtol=1e-6)


def test_without_baskets_users_are_counted() -> None:
    shop = tiny_shop()
    with_them, without = ItemKNN(baskets=True).fit(shop), ItemKNN().fit(shop)
    np.testing.assert_array_equal(with_them.weights_.toarray(), without.weights_.toarray())


def test_blocks_change_nothing() -> None:
    shop = tiny_shop()
    whole = ItemKNN(neighbours=5).fit(shop).weights_
    blocks = similarities(shop.matrix(), similarity="cosine", shrink=20.0, neighbours=5, at_once=20)
    np.testing.assert_array_equal(blocks.toarray(), whole.toarray())
    assert np.diff(whole.indptr).max() == 5


def test_shrink_zero_divides_by_nothing() -> None:
    weights = ItemKNN(shrink=0.0).fit(tiny_shop()).weights_
    assert np.isfinite(weights.data).all()
    assert weights.data.max() <= 1.0 + 1e-6


def test_repeats_add_up_or_the_strongest_stands() -> None:
    shop = tiny_shop()
    once = ItemKNN().fit(shop).score([["milk0"]], ["milk1"])[0, 0]
    assert ItemKNN().fit(shop).score([["milk0", "milk0"]], ["milk1"])[0, 0] == pytest.approx(2 * once)
    strongest = ItemKNN(combine="max", decay=Decay(events=1.0)).fit(shop)
    assert strongest.score([["milk0", "milk0"]], ["milk1"])[0, 0] == pytest.approx(once)
    row = shop.item_ids.row("milk0")
    events, _ = strongest.evidence(Histories.of([[row, row]]), shop.item_ids.row("milk1"))
    np.testing.assert_allclose(events, [0.0, once], rtol=1e-6)


def test_keep_strongest_goes_by_size_not_sign() -> None:
    kept = keep_strongest(sparse.csr_matrix(np.array([[3.0, -5.0, 1.0], [0.0, 2.0, 0.0]])), 2)
    np.testing.assert_array_equal(kept.toarray(), [[3.0, -5.0, 0.0], [0.0, 2.0, 0.0]])
