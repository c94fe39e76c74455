"""Products of a few queries with every row of a matrix, where reading the matrix is what takes time."""

from __future__ import annotations

import numpy as np

from crossaisle.data.history import Floats

_FEW = 32
"""Up to this many queries blocks of rows are faster than the whole matrix."""
_CELLS = 512
"""Queries times rows of a block: a product this small is made by OpenBLAS without a copy of the rows."""
_AT_LEAST = 16


def products(queries: Floats, rows: Floats) -> Floats:
    """float32 (b, n): `queries @ rows.T`, for float32 (b, d) and (n, d).

    BLAS copies both operands of a large product into another order; for few queries that is most of the work.
    """
    if not 1 < len(queries) <= _FEW:
        whole: Floats = queries @ rows.T
        return whole
    block = max(_CELLS // len(queries), _AT_LEAST)
    out = np.empty((len(queries), len(rows)), np.float32)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        np.matmul(queries, rows[part].T, out=out[:, part])
    return out
