"""Products of a few queries with every row of a matrix, where reading the matrix is what takes time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats

Halves = npt.NDArray[np.float16]
_FEW = 32
"""Up to this many queries blocks of rows are faster than the whole matrix."""
_CELLS = 512
"""Queries times rows of a block: a product this small is made by OpenBLAS without a copy of the rows."""
_AT_LEAST = 16
_SINGLE = 3
"""From this many queries on, float32 rows that several queries share are read faster than float16 ones."""


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


@dataclass(frozen=True)
class DenseRows:
    """A matrix that few queries are multiplied with at a time."""

    rows: Floats
    """float32 (n, d)"""
    halves: Halves | None = None
    """float16 (n, d), may be memory-mapped: the same numbers, none of them rounded. Half the bytes to read,
    and the same products but for the order of their sums."""

    @classmethod
    def prepared(cls, rows: Floats, halves: Halves) -> DenseRows:
        """Compiles what reads `halves`, which takes a second or two; without numba they are not used."""
        if find_spec("numba") is None or not rows.size:
            return cls(rows)
        prepared = cls(rows, halves)
        prepared.products(np.zeros((1, rows.shape[1]), np.float32))
        return prepared

    def products(self, queries: Floats) -> Floats:
        """float32 (b, n): of float32 (b, d) queries and all rows."""
        if self.halves is None or len(queries) > _SINGLE:
            return products(queries, self.rows)
        out = np.empty((len(queries), len(self.halves)), np.float32)
        kernel, bits = _kernel(self.halves.shape[1]), self.halves.view(np.int16)
        for query, products_of_one in zip(queries, out, strict=True):
            kernel(bits, query * np.float32(2.0**112), products_of_one)
        return out


Kernel = Callable[[npt.NDArray[np.int16], Floats, Floats], None]


@lru_cache
def _kernel(width: int) -> Kernel:
    """Compiled for one width: only then are many numbers multiplied at once."""
    import numba

    bits_of_float = np.int32(-0x70002000)  # sign, exponent and mantissa of a half, 13 places further left

    def products_of_one(rows: npt.NDArray[np.int16], query: Floats, out: Floats) -> None:
        for row in range(rows.shape[0]):
            total = np.float32(0.0)
            for i in range(width):
                # The exponent of a half, read as that of a float, is 112 too low; subnormal halves fit, too.
                value = np.int32((np.int32(rows[row, i]) << np.int32(13)) & bits_of_float).view(np.float32)
                total += value * query[i]
            out[row] = total

    compile_ = numba.njit(nogil=True, boundscheck=False, fastmath={"reassoc", "contract"})
    compiled: Kernel = compile_(products_of_one)
    return compiled
