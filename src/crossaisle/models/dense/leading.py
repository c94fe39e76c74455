"""`LeadingDirections`: sparse rows along the directions in which they differ most, for rough products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.coarse import CoarseRows
from crossaisle.models.dense.rough import Rough

Index = npt.NDArray[np.int64]
DIRECTIONS = 64
_MORE = 16
"""Directions that are looked for besides: the first ones are more exact then."""


@dataclass(frozen=True)
class LeadingDirections:
    """The rows of a sparse matrix in a few dimensions, and the same in 8 bits."""

    rows: Floats
    """float32 (n, d)"""
    coarse: CoarseRows

    @classmethod
    def of(cls, vectors: sparse.csr_matrix) -> LeadingDirections | None:
        """Of csr float32 (n, vocabulary); None where there is nothing in it.

        Halko, Martinsson and Tropp, Finding structure with randomness (SIAM Review 2011), one iteration.
        """
        d = min(DIRECTIONS + _MORE, *vectors.shape)
        if not vectors.nnz:
            return None
        start = np.random.default_rng(0).standard_normal((vectors.shape[1], d), np.float32)
        basis = np.linalg.qr(vectors @ start)[0]
        basis = np.linalg.qr(vectors.T @ basis)[0]
        rows = vectors @ basis
        # Along the directions of the largest products, the largest first.
        _, _, turned = np.linalg.svd(np.linalg.qr(rows)[1])
        rows = np.ascontiguousarray((rows @ turned.T)[:, :DIRECTIONS], np.float32)
        coarse = CoarseRows.of(rows)
        return None if coarse is None else cls(rows, coarse)

    def products(self, weights: ItemWeights) -> Floats:
        """float32 (b, n): about the products of weighted sums of rows with all rows."""
        queries = np.empty((len(weights), self.rows.shape[1]), np.float32)
        for at, query in enumerate(queries):
            items, values = weights.of(at)
            query[:] = values @ self.rows[items]
        return self.coarse.products(queries)


class SparseProducts:
    """Products of one weighted sum of rows with some rows, without the checks that scipy makes each time."""

    def __init__(self, vectors: sparse.csr_matrix, items: Rows, weights: Floats) -> None:
        """`vectors` csr float32 (n, vocabulary), `items` int32 (m,), `weights` float32 (m,)."""
        self._vectors = vectors
        entry, lengths = _entries(vectors, items)
        values = vectors.data[entry] * np.repeat(weights, lengths)
        self._query = np.bincount(vectors.indices[entry], values, vectors.shape[1]).astype(np.float32)

    def with_rows(self, rows: Rows) -> Floats:
        """float32 (k,)"""
        entry, lengths = _entries(self._vectors, rows)
        products = self._vectors.data[entry] * self._query[self._vectors.indices[entry]]
        first = np.cumsum(lengths) - lengths
        sums: Floats = np.add.reduceat(np.append(products, np.float32(0.0)), first)
        sums[lengths == 0] = 0.0
        return sums


def _entries(vectors: sparse.csr_matrix, rows: Rows) -> tuple[Index, Index]:
    """Places of the entries of some rows, and how many each has."""
    start = vectors.indptr[rows]
    lengths = vectors.indptr[rows + 1] - start
    first = np.cumsum(lengths) - lengths
    return np.repeat(start - first, lengths) + np.arange(int(lengths.sum())), lengths


class RoughTexts(Rough):
    """Cosines of texts along their leading directions."""

    def __init__(
        self,
        vectors: sparse.csr_matrix,
        leading: LeadingDirections,
        weights: ItemWeights,
        known: npt.NDArray[np.bool_],
        speaking: npt.NDArray[np.bool_],
    ) -> None:
        """`vectors` csr float32 (n_items, vocabulary). `weights`: of n histories. `known` bool (n_items,) and
        `speaking` bool (n,): items and histories of which something is known.
        """
        scores, whole = leading.products(weights), bool(known.all() and speaking.all())
        if not whole:
            scores[:, ~known] = np.nan
            scores[~speaking] = np.nan
        super().__init__(scores, self._of_texts, whole=whole)
        self._vectors, self._weights, self._known, self._speaking = vectors, weights, known, speaking

    @property
    def coarse(self) -> bool:
        return False

    def _of_texts(self, at: int, rows: Rows) -> Floats:
        scores = SparseProducts(self._vectors, *self._weights.of(at)).with_rows(rows)
        scores[~self._known[rows]] = np.nan
        if not self._speaking[at]:
            scores[:] = np.nan
        return scores
