"""What every index of rows promises, embedded or in files or in a database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossaisle.models.search.row_index import RowIndex

N, D = 4_000, 48
CATEGORIES = 10


def clustered(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Unit rows around a few hundred centres: many near ties, as among products of one kind."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((300, d))[rng.integers(0, 300, n)] + 0.6 * rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def found_of_best(found: np.ndarray, exact: np.ndarray, k: int) -> float:
    """Share of the `k` highest scores of each row that are among the columns found."""
    best = np.argpartition(-exact, k, axis=1)[:, :k]
    return float(np.mean([np.isin(b, f).mean() for b, f in zip(best, found, strict=True)]))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """float32 (N, D): two rows are zeros."""
    made = clustered(N, D)
    made[[11, N - 1]] = 0.0
    return made


@pytest.fixture(scope="module")
def categories() -> np.ndarray:
    """int32 (N,)"""
    return np.random.default_rng(5).integers(0, CATEGORIES, N).astype(np.int32)


class RowIndexContract:
    """Classes that inherit it have a fixture `rows`, an index of `vectors`."""

    least = 0.99
    """Of the ten best rows, what it finds."""

    @pytest.fixture
    def queries(self, vectors: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(1)
        return np.stack([vectors[rng.integers(0, N, 3)].sum(axis=0) for _ in range(30)])

    @pytest.fixture
    def exact(self, vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
        return queries @ vectors.T

    def test_it_finds_nearly_all_of_the_best(
        self, rows: RowIndex, queries: np.ndarray, exact: np.ndarray
    ) -> None:
        found = rows.search(queries, 10)
        assert found.shape == (len(queries), 10)
        assert found.dtype == np.int32
        assert found_of_best(found, exact, 10) >= self.least
        first = np.take_along_axis(exact, found[:, :1], axis=1)[:, 0]
        last = np.take_along_axis(exact, found[:, -1:], axis=1)[:, 0]
        assert (first >= last).all()

    @pytest.mark.parametrize("chosen", [[3], [0, 7], list(range(CATEGORIES))])
    def test_among_some_categories(
        self,
        rows: RowIndex,
        queries: np.ndarray,
        exact: np.ndarray,
        categories: np.ndarray,
        chosen: list[int],
    ) -> None:
        among = np.isin(categories, chosen)
        found = rows.search(queries, 10, among)
        assert among[found].all()
        assert found_of_best(found, np.where(among, exact, -np.inf), 10) >= self.least

    def test_among_rows_that_are_no_categories(
        self, rows: RowIndex, queries: np.ndarray, exact: np.ndarray
    ) -> None:
        among = np.random.default_rng(3).random(N) < 0.3
        found = rows.search(queries, 10, among)
        assert among[found].all()
        assert found_of_best(found, np.where(among, exact, -np.inf), 10) >= self.least

    def test_where_few_are_left_the_others_follow(self, rows: RowIndex, queries: np.ndarray) -> None:
        few = np.isin(np.arange(N), [3, 5])
        found = rows.search(queries[:1], 10, few)
        assert sorted(found[0, :2].tolist()) == [3, 5]
        assert len(set(found[0].tolist())) == 10
        assert len(set(rows.search(queries[:1], 4, np.zeros(N, bool))[0].tolist())) == 4

    def test_no_queries_and_no_places(self, rows: RowIndex, queries: np.ndarray) -> None:
        assert rows.search(queries[:0], 5).shape == (0, 5)
        assert rows.search(queries, 0).shape == (30, 0)
        assert rows.search(queries[:2], N + 5).shape == (2, N)

    def test_rows_of_zeros_are_not_known(self, rows: RowIndex) -> None:
        assert np.flatnonzero(~rows.known).tolist() == [11, N - 1]


class CategoryIndexContract(RowIndexContract):
    """Indices that know the rows' categories."""

    @pytest.mark.parametrize("chosen", [[7], [1, 4]])
    def test_within_categories_is_among_their_rows(
        self, rows: Any, queries: np.ndarray, categories: np.ndarray, chosen: list[int]
    ) -> None:
        found = rows.search(queries, 10, np.isin(categories, chosen))
        assert found.tolist() == rows.within(queries, 10, chosen)

    def test_within_no_category_there_is_nothing(self, rows: Any, queries: np.ndarray) -> None:
        assert rows.within(queries[:2], 10, []) == [[], []]
        assert rows.within(queries[:1], 10, [CATEGORIES + 3]) == [[]]
