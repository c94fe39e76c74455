"""A user with a cart is scored twice, by history and by cart, and the scores are summed."""

from __future__ import annotations

import numpy as np

from crossaisle.data.history import Histories
from crossaisle.models.blend import CART_OF_USER, HISTORY_OF_USER, Blend
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.sides import AskedOf
from tests.models.shops import tiny_shop

SHOP = tiny_shop()
WEIGHTS = {CART_OF_USER: {"item_knn": 1.0}, HISTORY_OF_USER: {"frequency": 0.5, "item_knn": 0.2}}
CARTS = Histories.of([[1], [3, 14]])


def blend() -> Blend:
    parts = {"popularity": Popularity(), "frequency": Frequency(), "item_knn": ItemKNN(shrink=1.0)}
    return Blend(parts=parts, weights={"goes_with": {"item_knn": 1.0}, **WEIGHTS}).fit(SHOP)


def test_the_score_is_the_sum_over_cart_and_history() -> None:
    model, own = blend(), SHOP.histories([0, 1])
    parts = model.parts
    expected = np.nan_to_num(parts["item_knn"].score_rows(CARTS))
    expected = expected + 0.5 * np.nan_to_num(parts["frequency"].score_rows(own))
    expected = expected + 0.2 * np.nan_to_num(parts["item_knn"].score_rows(own))
    asked = own.with_view(CARTS)
    found = model.score_rows(asked, CART_OF_USER)
    np.testing.assert_allclose(np.nan_to_num(found), expected, rtol=1e-5, atol=1e-6)
    model.remember = True
    np.testing.assert_array_equal(model.score_rows(asked, CART_OF_USER), found)
    rows = [np.arange(5, dtype=np.int32), np.arange(9, 20, dtype=np.int32)]
    for at, scores, whole in zip(rows, model.score_at(asked, rows, CART_OF_USER), found, strict=True):
        np.testing.assert_allclose(scores, whole[at], rtol=1e-5, atol=1e-6)
    (best, _), _ = model.best(asked, CART_OF_USER, SHOP.n_items)
    assert set(np.flatnonzero(found[0] > 0)) <= set(best.tolist())


def test_evidence_names_events_of_the_side_that_was_asked() -> None:
    asked = SHOP.histories([0]).with_view(Histories.of([[1]]))
    model = blend().parts["item_knn"]
    for item in range(SHOP.n_items):
        of_cart, _ = AskedOf(model, "cart").evidence(asked, item)
        of_own, _ = AskedOf(model, "history").evidence(asked, item)
        assert not of_cart[:-1].any()
        assert not of_own[-1]
        score = float(np.nan_to_num(model.score_rows(asked.carts)[0, item]))
        np.testing.assert_allclose(of_cart.sum(), score, rtol=1e-5, atol=1e-6)


def test_a_blend_without_weights_by_side_scores_as_before() -> None:
    old = Blend(parts=blend().parts, weights={"goes_with": {"item_knn": 1.0}})
    assert [scorer.kind for scorer, _ in old.terms("goes_with")] == ["item_knn"]
