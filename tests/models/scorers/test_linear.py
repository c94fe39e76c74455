"""EASE and SLIT: the contract, and small cases with a known answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from crossaisle.data.history import Histories
from crossaisle.errors import ConfigError
from crossaisle.models.scorers.learning import ridge
from crossaisle.models.scorers.learning.ridge import inverse_of_gram, ridge_of_neighbours
from crossaisle.models.scorers.linear import EASE, SLIT
from crossaisle.models.updates import Change
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestEASE(ScorerContract):
    def make(self) -> EASE:
        return EASE(ridge=5.0)


class TestSLIT(ScorerContract):
    def make(self) -> SLIT:
        # Eight events are little to learn an order from: a wide window and a firm ridge.
        return SLIT(ridge=50.0, target_decay=5.0, next_items=7)


def by_hand(users: np.ndarray, ridge: float) -> np.ndarray:
    """EASE as the paper's listing has it."""
    inverse = np.linalg.inv(users.T @ users + ridge * np.eye(users.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def test_ease_equals_the_papers_listing() -> None:
    shop = tiny_shop(users=200)
    fitted = EASE(ridge=3.0, keep=100).fit(shop)
    matrix = shop.matrix().toarray().astype(np.float64)
    bought = matrix.any(axis=0)
    expected = np.zeros((shop.n_items, shop.n_items))
    expected[np.ix_(bought, bought)] = by_hand(matrix[:, bought], 3.0)
    np.testing.assert_allclose(fitted.weights_.toarray(), expected, atol=2e-5)


def test_ease_keeps_the_largest_weights_of_each_row() -> None:
    shop = tiny_shop()
    whole = np.abs(EASE(ridge=3.0, keep=100).fit(shop).weights_.toarray())
    kept = np.abs(EASE(ridge=3.0, keep=2).fit(shop).weights_.toarray())
    assert (np.count_nonzero(kept, axis=1) <= 2).all()
    np.testing.assert_allclose(kept.max(axis=1), whole.max(axis=1), rtol=1e-5)


def test_max_items_leaves_the_less_bought_ones_unscored() -> None:
    shop = tiny_shop(users=200)
    fitted = SLIT(ridge=3.0, max_items=5).fit(shop)
    busiest = np.argsort(-shop.item_counts, kind="stable")[:5]
    assert set(np.flatnonzero(fitted.known_)) == set(busiest.tolist())


def test_slit_examples_are_decayed_pasts_and_futures() -> None:
    past, future = SLIT(next_items=2)._examples(Histories.of([[0, 1, 2], [3]]))
    np.testing.assert_allclose(past.toarray()[:, :3], [[1, 0, 0], [np.exp(-0.5), 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(future.toarray()[:, :3], [[0, 1, np.exp(-1.0)], [0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_slit_examples_add_up_what_repeats(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    histories = Histories.of([rng.integers(0, 6, n).tolist() for n in (0, 1, 2, 5, 30)])
    if weighted:
        histories = replace(histories, weight=rng.random(len(histories.item)).astype(np.float32))
    model = SLIT(next_items=3, source_decay=4.0, target_decay=1.5)
    past, future = np.zeros((34, 6)), np.zeros((34, 6))
    weight = np.ones(len(histories.item)) if histories.weight is None else histories.weight
    row = 0
    for start, end in pairwise(histories.indptr.tolist()):
        for at in range(start, end - 1):
            for event in range(max(start, at - 12), at + 1):
                past[row, histories.item[event]] += np.exp(-(at - event) / 4.0) * weight[event]
            for event in range(at + 1, min(at + 4, end)):
                future[row, histories.item[event]] += np.exp(-(event - at - 1) / 1.5) * weight[event]
            row += 1
    found = model._examples(histories)
    np.testing.assert_allclose(found[0].toarray(), past, rtol=1e-5)
    np.testing.assert_allclose(found[1].toarray(), future, rtol=1e-5)


def test_slit_learns_which_item_comes_next() -> None:
    shop = tiny_shop(users=60)
    fitted = SLIT(ridge=1.0, keep=100).fit(shop)
    past, future = (m.toarray().astype(np.float64) for m in fitted._examples(shop.histories()))
    width = past.shape[1]
    expected = np.linalg.solve(past.T @ past + np.eye(width), past.T @ future)
    np.testing.assert_allclose(fitted.weights_.toarray()[:width, :width], expected, atol=1e-4)


def test_neighbours_are_those_with_the_strongest_ties_and_their_ridge_is_solved_alone() -> None:
    rng = np.random.default_rng(3)
    users = (rng.random((400, 60)) < rng.uniform(0.01, 0.3, 60)).astype(np.float32)
    gram = users.T @ users
    together = gram - np.diag(np.diag(gram))
    found = ridge_of_neighbours(sparse.csr_matrix(gram), sparse.csr_matrix(together), 4.0, 7).toarray()
    for item in range(60):
        ties = together[:, item] / np.sqrt(np.diag(gram) + 4.0)
        own = np.flatnonzero(found[:, item])
        assert len(own) == min(7, np.count_nonzero(ties))
        assert ties[own].min() >= np.sort(ties)[-len(own)] - 1e-6
        expected = np.linalg.solve(gram[np.ix_(own, own)] + 4.0 * np.eye(len(own)), together[own, item])
        np.testing.assert_allclose(found[own, item], expected, atol=1e-5)


def test_hubs_and_other_items_give_the_same_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    users = sparse.csr_matrix((rng.random((300, 50)) < 0.1).astype(np.float32))
    gram = (users.T @ users).tocsr()
    whole = ridge_of_neighbours(gram, gram, 2.0, 10)
    for hubs, entries in ((1, 2_000_000), (5, 100), (50, 1)):
        monkeypatch.setattr(ridge, "_HUBS", hubs)
        monkeypatch.setattr(ridge, "_ENTRIES", entries)
        other = ridge_of_neighbours(gram, gram, 2.0, 10)
        np.testing.assert_allclose(other.toarray(), whole.toarray(), atol=1e-5)


def test_all_items_take_part_and_as_many_neighbours_as_items_are_the_exact_solution() -> None:
    shop = tiny_shop(users=200)
    for model in (EASE(ridge=3.0), SLIT(ridge=3.0)):
        exact, near = replace(model).fit(shop), replace(model, neighbours=6).fit(shop)
        np.testing.assert_array_equal(near.known_, shop.item_counts > 0)
        np.testing.assert_array_equal(near.known_, exact.known_)
        column = near.weights_.tocsc().indptr
        assert np.diff(column).max() <= 6
        n = int(near.known_.sum())
        most = replace(model, neighbours=n - 1).fit(shop).weights_
        np.testing.assert_allclose(most.toarray(), exact.weights_.toarray(), atol=0.02)


def test_neighbours_that_no_ridge_can_tell_apart_are_refused() -> None:
    gram = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
    with_both = np.zeros((3, 3), np.float32)
    with_both[:2, 2] = 1.0
    with pytest.raises(ConfigError, match=r"ridge: 1 is too small .* raise it"):
        ridge_of_neighbours(sparse.csr_matrix(gram), sparse.csr_matrix(with_both), 1.0, 2)


def test_what_rounding_has_made_indefinite_is_solved_all_the_same() -> None:
    """Cholesky needs a positive definite matrix; the numbers that it wrote over are put back."""
    gram = np.array([[1.0, 3.0, 0.5], [3.0, 1.0, 0.25], [0.5, 0.25, 1.0]], np.float32)
    with_both = np.zeros((3, 3), np.float32)
    with_both[:2, 2] = 1.0, 2.0
    found = ridge_of_neighbours(sparse.csr_matrix(gram), sparse.csr_matrix(with_both), 0.5, 2).toarray()
    expected = np.linalg.solve(gram[:2, :2] + 0.5 * np.eye(2), [1.0, 2.0])
    np.testing.assert_allclose(found[:2, 2], expected, rtol=1e-5)


def test_inverse_needs_a_positive_definite_matrix() -> None:
    with pytest.raises(ConfigError, match=r"ridge: 0.5 is too small .* raise it"):
        inverse_of_gram(sparse.csr_matrix(-np.eye(3, dtype=np.float32)), 0.5)


@pytest.mark.parametrize(
    "model", [SLIT(ridge=3.0, neighbours=6), EASE(ridge=30.0, neighbours=6), EASE(neighbours=6)]
)
def test_an_update_solves_the_items_that_were_bought_and_scales_the_others(model: SLIT | EASE) -> None:
    after = tiny_shop(users=300)
    assert after.events.time is not None
    late = (after.events.user < 3) & (after.events.time >= after.events.time.max() - 86_400)
    before = after.with_events(~late)
    change = Change(before, after, frozenset(after.user_ids.ids([0, 1, 2])))
    old, fitted = replace(model).fit(before), replace(model).fit(after)
    updated = old.update(change, old.count(before))
    found = updated.scorer
    columns = np.unique(after.events.item[late][::2])  # the other half is bought again
    assert int(updated.how.split()[0]) >= len(columns)
    exact = fitted.weights_.toarray()[:, columns]
    np.testing.assert_allclose(found.weights_.toarray()[:, columns], exact, atol=1e-5)
    off = np.abs(found.weights_.toarray() - fitted.weights_.toarray()) > 0.01 * np.abs(exact).max()
    assert off.mean() < 0.02  # of items that nobody bought, one neighbour may take the place of an equal one
    assert np.abs(old.weights_.toarray()[:, columns] - exact).max() > 0.02 * np.abs(exact).max()


def test_threads_and_single_columns_change_nothing() -> None:
    rng = np.random.default_rng(5)
    users = sparse.csr_matrix((rng.random((400, 300)) < 0.05).astype(np.float32))
    gram = (users.T @ users).tocsr()
    whole = ridge_of_neighbours(gram, gram, 2.0, 10).toarray()
    np.testing.assert_array_equal(ridge_of_neighbours(gram, gram, 2.0, 10, threads=3).toarray(), whole)
    some = ridge_of_neighbours(gram, gram, 2.0, 10, columns=np.array([7, 250])).toarray()
    np.testing.assert_allclose(some[:, [7, 250]], whole[:, [7, 250]], atol=1e-6)
    assert not np.delete(some, [7, 250], axis=1).any()
