"""Products in 8 bits: within the rounding of codes, whatever the sizes of rows and queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.models.dense.coarse import CoarseRows


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), b=st.integers(1, 9), n=st.integers(1, 70), d=st.integers(1, 70))
def test_products_are_within_the_rounding_of_codes(seed: int, b: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-6, 6, size=(n, 1))
    rows = (rng.normal(size=(n, d)) * sizes).astype(np.float32)
    queries = rng.normal(size=(b, d)).astype(np.float32)
    coarse = CoarseRows.of(rows)
    assert coarse is not None
    largest, sums = np.abs(rows).max(axis=1), np.abs(rows).sum(axis=1)
    top, total = np.abs(queries).max(axis=1), np.abs(queries).sum(axis=1)
    # Half a step of each code: of a row in 127 steps, of a query in 63.
    bound = np.outer(total, largest / 254) + np.outer(top / 126, sums) + np.outer(top, largest) * d / 4000
    assert (
        np.abs(coarse.products(queries) - queries.astype(float) @ rows.T.astype(float)) <= bound * 1.01
    ).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_codes_do_not_overflow(sign: int) -> None:
    rows, queries = np.full((40, 1024), sign, np.float32), np.ones((3, 1024), np.float32)
    coarse = CoarseRows.of(rows)
    assert coarse is not None
    np.testing.assert_allclose(coarse.products(queries), sign * 1024.0, rtol=1e-6)


def test_queries_and_rows_of_zeros() -> None:
    rows = np.zeros((3, 4), np.float32)
    rows[1] = 1.0
    coarse = CoarseRows.of(rows)
    assert coarse is not None
    np.testing.assert_array_equal(coarse.products(np.zeros((2, 4), np.float32)), 0.0)
    np.testing.assert_allclose(coarse.products(np.ones((1, 4), np.float32)), [[0.0, 4.0, 0.0]], rtol=1e-6)


def test_there_are_none_of_an_empty_matrix() -> None:
    assert CoarseRows.of(np.empty((0, 5), np.float32)) is None
