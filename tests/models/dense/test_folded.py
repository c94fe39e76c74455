"""Cached sums of vectors equal new sums, whatever happens to a history."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from crossaisle.data.history import ItemWeights
from crossaisle.models.dense import folded
from crossaisle.models.dense.folded import FoldedQueries

N_ITEMS = 30
VECTORS = np.random.default_rng(0).normal(size=(N_ITEMS, 6)).astype(np.float32)
Weights = list[dict[int, float]]
histories = st.dictionaries(st.integers(0, N_ITEMS - 1), st.sampled_from([0.5, 1.0, 2.0]), max_size=20)
batches = st.lists(st.lists(st.tuples(st.integers(-1, 3), histories), min_size=1, max_size=4), max_size=8)


def matrix(several: Weights) -> sparse.csr_matrix:
    dense = np.zeros((len(several), N_ITEMS), np.float32)
    for row, one in zip(dense, several, strict=True):
        row[list(one)] = list(one.values())
    return sparse.csr_matrix(dense)


def weights(several: Weights) -> ItemWeights:
    query = matrix(several)
    return ItemWeights(query.indptr.astype(np.int64), query.indices, query.data)


@settings(deadline=None)
@given(batches)
def test_sums_are_those_of_the_current_history(asked: list[list[tuple[int, dict[int, float]]]]) -> None:
    kept = FoldedQueries()
    for batch in asked:
        users, query = np.array([user for user, _ in batch], np.int32), [one for _, one in batch]
        np.testing.assert_allclose(
            kept.of(users, weights(query), VECTORS), matrix(query) @ VECTORS, rtol=1e-4, atol=1e-4
        )


def test_one_more_item_costs_one_vector() -> None:
    kept, user = FoldedQueries(), np.array([5], np.int32)
    before = dict.fromkeys(range(8), 1.0)
    kept.of(user, weights([before]), VECTORS)
    torn = VECTORS.copy()
    torn[:8] = np.nan  # reading any of them again would show
    found = kept.of(user, weights([before | {12: 2.0}]), torn)
    np.testing.assert_allclose(found[0], VECTORS[:8].sum(axis=0) + 2 * VECTORS[12], rtol=1e-5)


def test_sums_are_recomputed_after_so_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded, "CHANGES", 3)
    kept, user, history = FoldedQueries(), np.array([5], np.int32), dict.fromkeys(range(10), 1.0)
    kept.of(user, weights([history]), VECTORS)
    for more in range(3):
        history[20 + more] = 1.0
        kept.of(user, weights([history]), VECTORS)
    doubled = 2 * VECTORS
    history[29] = 1.0
    query = [history]
    np.testing.assert_allclose(kept.of(user, weights(query), doubled), matrix(query) @ doubled, rtol=1e-5)


def test_the_oldest_sums_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded, "KEPT", 2)
    kept = FoldedQueries()
    for user in range(5):
        kept.of(np.array([user], np.int32), weights([{0: 1.0}]), VECTORS)
    assert list(kept._kept) == [3, 4]
