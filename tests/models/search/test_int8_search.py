"""Search over int8 rows: what it misses of the exact best, measured."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from crossaisle.models.search import int8_search
from crossaisle.models.search.int8_search import NearestRows, code_products, coded_queries
from tests.models.search.contract import RowIndexContract, categories, clustered, found_of_best, vectors

__all__ = ["categories", "vectors"]  # fixtures


class TestNearestRows(RowIndexContract):
    least = 0.97
    """What codes alone find: it has no vectors to compare what they nominate."""

    @pytest.fixture
    def rows(self, vectors: np.ndarray) -> NearestRows:
        return NearestRows.of(vectors)


class TestPreparedRows(RowIndexContract):
    least = 0.95
    """Queries have 7 bits; a service asks for 500 and scores them exactly."""

    @pytest.fixture
    def rows(self, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> NearestRows:
        monkeypatch.setattr(
            "crossaisle.models.dense.coarse.PART", 1_500
        )  # several parts, the last a short one
        made = NearestRows.of(vectors)
        made.prepare()
        return made

    def test_the_best_hundred_are_among_a_few_hundred(
        self, rows: NearestRows, queries: np.ndarray, exact: np.ndarray
    ) -> None:
        assert found_of_best(rows.search(queries, 300), exact, 100) >= 0.999

    def test_products_are_those_of_the_codes(self, rows: NearestRows, queries: np.ndarray) -> None:
        found = rows._products(queries)
        plain = code_products(rows.codes, coded_queries(queries))
        assert found.dtype == np.int32
        assert found.shape == plain.shape
        for one, other in zip(found, plain, strict=True):
            assert np.corrcoef(one, other)[0, 1] > 0.999


def test_nothing_to_prepare() -> None:
    made = NearestRows.of(np.empty((0, 8), np.float32))
    made.prepare()
    assert made.search(np.ones((2, 8), np.float32), 5).shape == (2, 0)


@pytest.mark.parametrize("compiled", [True, False])
def test_nearly_all_of_the_best_hundred_are_among_few_hundred_found(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        pytest.importorskip("numba", reason="needs pip install 'crossaisle[large]'")
    else:
        monkeypatch.setattr(int8_search, "find_spec", lambda name: None)
    vectors = clustered(20_000, 96)
    rng = np.random.default_rng(1)
    # Sums of a few items, as histories are.
    queries = np.stack([vectors[rng.integers(0, len(vectors), 3)].sum(axis=0) for _ in range(20)])
    rows = NearestRows.of(vectors)
    exact = queries @ vectors.T
    assert found_of_best(rows.search(queries, 300), exact, 100) >= 0.999
    # The codes alone would not do: that is why scores are made anew from the vectors.
    at_first = found_of_best(rows.search(queries, 100), exact, 100)
    assert at_first < 0.999 if compiled else at_first == 1.0


def test_odd_sizes() -> None:
    vectors = clustered(67, 5)
    vectors[3] = 0.0
    rows = NearestRows.of(vectors)
    assert rows.search(vectors[:2], 100).shape == (2, 67)
    assert rows.search(vectors[:0], 5).shape == (0, 5)
    assert not rows.known[3]
    assert rows.known.sum() == 66
    nothing = NearestRows.of(np.zeros((0, 5), np.float32))
    assert nothing.search(vectors[:2], 3).shape == (2, 0)
    assert (NearestRows.of(np.zeros((4, 5), np.float32)).codes == 0).all()


def test_known_rows_in_blocks() -> None:
    vectors = clustered(67, 8)
    vectors[[0, 66]] = 0.0
    rows = NearestRows.of(vectors, block=10)
    assert np.flatnonzero(~rows.known).tolist() == [0, 66]
    whole = np.rint(vectors * 127 / np.abs(vectors).max())
    np.testing.assert_array_equal(rows.codes, whole)


@pytest.mark.parametrize("width", [1, 384, 1040])
def test_sums_of_codes_are_the_same_without_numba(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (5000, width), dtype=np.int8)
    codes[0], queries = 127, rng.integers(-127, 128, (3, width), dtype=np.int8)
    queries[0] = 127
    monkeypatch.setattr(int8_search, "find_spec", lambda name: None)
    exact = queries.astype(np.int64) @ codes.astype(np.int64).T
    np.testing.assert_array_equal(code_products(codes, queries), exact)
    monkeypatch.undo()
    np.testing.assert_array_equal(code_products(codes, queries), exact)


def test_a_search_among_some_rows_takes_the_products_of_the_one_before() -> None:
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((500, 16)).astype(np.float32)
    among = rng.random(500) < 0.3
    queries = rng.standard_normal((3, 16)).astype(np.float32)
    index = NearestRows.of(vectors)
    wanted = index.search(queries, 20, among)
    assert among[wanted].all()
    index.search(queries, 20)
    np.testing.assert_array_equal(deepcopy(index).search(queries, 20, among), wanted)
    index.vectors[:], index.codes[:] = 0.0, 0  # nothing is left to be multiplied
    np.testing.assert_array_equal(index.search(queries[[2, 0]], 20, among), wanted[[2, 0]])
    few = np.zeros(500, bool)
    few[[7, 9]] = True
    found = index.search(queries[1:2], 5, few)[0]
    assert set(found[:2].tolist()) == {7, 9}
    np.testing.assert_array_equal(index.search(queries[[2, 0]], 20, among), wanted[[2, 0]])
    other = index.search(queries + 1, 20, among)  # other queries: products of zeros
    assert not np.array_equal(other, wanted)
