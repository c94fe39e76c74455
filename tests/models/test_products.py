"""Products of few queries with many rows: what BLAS says of them, whichever way they are made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.models.products import DenseRows, products

QUERIES = [0, 1, 2, 3, 4, 8, 31, 32, 33]


@given(seed=st.integers(0, 2**32 - 1), b=st.integers(0, 40), n=st.integers(0, 300), d=st.integers(0, 70))
def test_in_blocks_as_at_once(seed: int, b: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    queries, rows = (rng.normal(size=(k, d)).astype(np.float32) for k in (b, n))
    found = products(queries, rows)
    assert found.dtype == np.float32
    assert found.shape == (b, n)
    np.testing.assert_allclose(found, queries.astype(float) @ rows.T.astype(float), atol=2e-5)


@pytest.mark.parametrize("b", QUERIES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_of_halves_as_of_floats(b: int, seed: int) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-8, 4, size=(40, 1))  # the smallest are subnormal as float16, or 0
    halves = (rng.normal(size=(40, 33)) * sizes).astype(np.float16)
    halves[0, :4] = [0.0, -0.0, np.finfo(np.float16).smallest_subnormal, np.finfo(np.float16).max]
    rows = halves.astype(np.float32)
    queries = rng.normal(size=(b, 33)).astype(np.float32)
    found = DenseRows.prepared(rows, halves).products(queries)
    size = np.abs(queries).astype(float) @ np.abs(rows).T.astype(float)
    assert (np.abs(found - queries.astype(float) @ rows.T.astype(float)) <= 1e-6 * size).all()


def test_halves_are_read_where_numba_is_installed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.eye(3, dtype=np.float32)
    monkeypatch.setattr("crossaisle.models.products.find_spec", lambda name: None)
    assert DenseRows.prepared(rows, rows.astype(np.float16)).halves is None
