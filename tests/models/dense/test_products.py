"""Products of few queries with many rows equal those of BLAS, whichever way they are computed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.models.dense.products import products


@given(seed=st.integers(0, 2**32 - 1), b=st.integers(0, 40), n=st.integers(0, 300), d=st.integers(0, 70))
def test_in_blocks_as_at_once(seed: int, b: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    queries, rows = (rng.normal(size=(k, d)).astype(np.float32) for k in (b, n))
    found = products(queries, rows)
    assert found.dtype == np.float32
    assert found.shape == (b, n)
    np.testing.assert_allclose(found, queries.astype(float) @ rows.T.astype(float), atol=2e-5)
