"""`LeadingDirections`: sparse rows along the directions in which they differ most, for rough products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.coarse import CoarseRows
from crossaisle.models.dense.rough import Rough

DIRECTIONS = 64
FILLED = 6
"""Filled rows may take this many times as much room as the rows."""
_MORE = 16
"""Directions that are looked for besides: the first ones are more exact then."""


def leading_axes(
    rows: sparse.csr_matrix, wide: int, *, rounds: int, kind: type[np.floating[Any]] = np.float64
) -> npt.NDArray[np.floating[Any]]:
    """(columns, wide): orthonormal axes near the leading right singular vectors of sparse rows.

    Subspace iteration from a random start (Halko, Martinsson and Tropp, SIAM Review 2011).
    """
    axes = np.random.default_rng(0).standard_normal((rows.shape[1], wide)).astype(kind)
    for _ in range(rounds):
        axes, _ = linalg.qr(rows.T @ (rows @ axes), mode="economic")
    return axes


@dataclass(frozen=True)
class LeadingDirections:
    """The rows of a sparse matrix in a few dimensions, and the same in 8 bits."""

    rows: Floats
    """float32 (n, d)"""
    coarse: CoarseRows
    whole: ShortRows
    """The rows themselves."""

    @classmethod
    def of(cls, vectors: sparse.csr_matrix) -> LeadingDirections | None:
        """Of csr float32 (n, vocabulary); None where there is nothing in it, or much in few rows."""
        d, whole = min(DIRECTIONS + _MORE, *vectors.shape), ShortRows.of(vectors)
        if not vectors.nnz or whole is None:
            return None
        rows = vectors @ leading_axes(vectors, d, rounds=1, kind=np.float32)
        # Along the directions of the largest products, the largest first.
        _, _, turned = np.linalg.svd(np.linalg.qr(rows)[1])
        rows = np.ascontiguousarray((rows @ turned.T)[:, :DIRECTIONS], np.float32)
        coarse = CoarseRows.of(rows)
        return None if coarse is None else cls(rows, coarse, whole)

    def products(self, weights: ItemWeights) -> Floats:
        """float32 (b, n): about the products of weighted sums of rows with all rows."""
        queries = np.empty((len(weights), self.rows.shape[1]), np.float32)
        for at, query in enumerate(queries):
            items, values = weights.of(at)
            query[:] = values @ self.rows.take(items, axis=0)
        return self.coarse.products(queries)


class ShortRows:
    """The rows of a sparse matrix, filled up to one length: a few of them are then read in one piece each."""

    def __init__(self, vectors: sparse.csr_matrix) -> None:
        """`vectors` csr float32 (n, vocabulary)."""
        n, self._width = vectors.shape
        lengths = np.diff(vectors.indptr)
        longest = int(lengths.max(initial=0))
        place = np.arange(longest) < lengths[:, None]
        self._columns = np.full((n, longest), self._width, np.int32)
        self._values = np.zeros((n, longest), np.float32)
        self._columns[place], self._values[place] = vectors.indices, vectors.data

    @classmethod
    def of(cls, vectors: sparse.csr_matrix) -> ShortRows | None:
        """None where filled rows would take several times as much room."""
        longest = int(np.diff(vectors.indptr).max(initial=0))
        return cls(vectors) if longest * vectors.shape[0] <= FILLED * max(vectors.nnz, 1) else None

    def sum(self, rows: Rows, weights: Floats) -> Floats:
        """float32 (vocabulary + 1,): the weighted sum of some rows. The last one is 0 for all."""
        values = self._values.take(rows, axis=0)
        values *= weights[:, None]
        columns = self._columns.take(rows, axis=0)
        return np.bincount(columns.ravel(), values.ravel(), self._width + 1).astype(np.float32)

    def products(self, query: Floats, rows: Rows) -> Floats:
        """float32 (m,): of such a sum and some rows."""
        values = query.take(self._columns.take(rows, axis=0))
        values *= self._values.take(rows, axis=0)
        products: Floats = values.sum(axis=1)
        return products


class RoughTexts(Rough):
    """Cosines of texts along their leading directions."""

    def __init__(
        self,
        leading: LeadingDirections,
        weights: ItemWeights,
        known: npt.NDArray[np.bool_],
        speaking: npt.NDArray[np.bool_],
    ) -> None:
        """`weights`: of n histories. `known` bool (n_items,) and `speaking` bool (n,): items and histories of
        which something is known.
        """
        scores, whole = leading.products(weights), bool(known.all() and speaking.all())
        if not whole:
            scores[:, ~known] = np.nan
            scores[~speaking] = np.nan
        super().__init__(scores, self._of_texts, whole=whole)
        self._rows, self._weights, self._known, self._speaking = leading.whole, weights, known, speaking

    @property
    def coarse(self) -> bool:
        return False

    def _of_texts(self, at: int, rows: Rows) -> Floats:
        scores = self._rows.products(self._rows.sum(*self._weights.of(at)), rows)
        if not self.whole:
            scores[~self._known[rows]] = np.nan
            if not self._speaking[at]:
                scores[:] = np.nan
        return scores
