"""`top_k`: the best columns of every row of scores, without sorting or partitioning whole rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.distinct import run_starts
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows

Mask = npt.NDArray[np.bool_]
_BLOCKS = 6
"""Blocks per wanted column: more leave fewer candidates to sort and more maxima to search."""
_AT_ONCE = 20_000
"""Rows compared in one step; most of the time a few thousand decide."""


def top_k(scores: Floats, k: int) -> Rows:
    """int32 (n, k): columns of the k highest scores, best first; the lower column first among ties.

    -1 where only -inf is left. No NaN, and k must not exceed the number of columns. The k-th largest
    maximum of disjoint blocks of a row bounds its k-th largest score from below, and only what reaches
    the bound is sorted.
    """
    n = len(scores)
    out = np.full((n, k), -1, np.int32)
    if not k:
        return out
    bound = _bound(scores, k)
    higher = scores > bound[:, None]
    for i, (row, floor) in enumerate(zip(scores, bound.tolist(), strict=True)):
        column = np.flatnonzero(higher[i])
        if len(column) < k and floor > -np.inf:  # the bound is the k-th score itself
            level = np.flatnonzero(row == floor)[: k - len(column)]
            column = np.sort(np.concatenate([column, level]))
        best = column[np.argsort(-row[column], kind="stable")[:k]]
        out[i, : len(best)] = best
    return out


def best_rows(scores: Floats, k: int) -> list[Rows]:
    """int32 (at most k,) for each row of scores: columns of its k highest ones, ascending, without NaN."""
    if np.isnan(scores).any():
        scores = np.fmax(scores, -np.inf)  # the larger of the two is -inf where there is no score
    found = top_k(scores, min(k, scores.shape[1]))
    return [np.sort(row[row >= 0]) for row in found]


def union(rows: Sequence[Rows]) -> Rows:
    """int32, ascending: what any of some int32 rows hold, each once.

    By sorting, which takes a tenth of the time of the hash table that `np.unique` has.
    """
    every = np.sort(np.concatenate([np.empty(0, np.int32), *rows]).astype(np.int32, copy=False))
    found: Rows = every[run_starts(every)]
    return found


def first_of(order: Rows, k: int, among: Mask | None) -> Rows:
    """int32 (at most k,): the first of some rows, best first, that may be named."""
    if among is None:
        return order[:k]
    out = np.empty(0, order.dtype)
    for start in range(0, len(order), _AT_ONCE):
        part = order[start : start + _AT_ONCE]
        out = np.concatenate([out, part[among[part]]])
        if len(out) >= k:
            break
    return out[:k]


def values_at(scores: sparse.csr_matrix, row: int, columns: Rows, *, missing: float = 0.0) -> Floats:
    """float32: what one row of a csr matrix with sorted indices has in some columns."""
    part = slice(scores.indptr[row], scores.indptr[row + 1])
    there, value = scores.indices[part], scores.data[part]
    if not len(there):
        return np.full(len(columns), missing, np.float32)
    place = np.minimum(np.searchsorted(there, columns), len(there) - 1)
    return np.where(there[place] == columns, value[place], missing).astype(np.float32)


def _bound(scores: Floats, k: int) -> Floats:
    """(n,): a score that at least k columns of each row reach."""
    n, m = scores.shape
    size = m // max(_BLOCKS * k, 1)
    maxima = scores
    if size > 1:
        blocks = m // size
        maxima = scores[:, : blocks * size].reshape(n, size, blocks).max(axis=1)
        rest = m - blocks * size
        np.maximum(maxima[:, :rest], scores[:, blocks * size :], out=maxima[:, :rest])
    bound: Floats = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k]
    return bound
