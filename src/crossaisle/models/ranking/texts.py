"""Cosines of candidates with the newest item of their history, a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.scorers.vectors.vector_model import VectorModel


def newest_cosines(part: VectorModel, histories: Histories, rows: Sequence[Rows]) -> Floats:
    """float32 (m,), history after history; NaN where nothing is known of a candidate or the newest item.

    `rows`: the candidates of each history.
    """
    last = histories.last_item
    if sparse.issparse(part.vectors_):
        return _sparse(part, last, rows)
    found = [np.empty(0, np.float32)]
    for item, at in zip(last.tolist(), rows, strict=True):
        found.append(part.cosines(item, at) if item >= 0 else np.full(len(at), np.nan, np.float32))
    return np.concatenate(found)


def _sparse(part: VectorModel, last: Rows, rows: Sequence[Rows]) -> Floats:
    """Without a matrix for each history: scipy takes longer to make one than to multiply it."""
    vectors: sparse.csr_matrix = part.vectors_
    item = np.concatenate([np.empty(0, np.int32), *rows])
    owner = np.repeat(np.arange(len(rows)), [len(at) for at in rows])
    some = np.flatnonzero(last >= 0)
    newest = vectors[last[some]]
    queries = np.zeros((len(rows), vectors.shape[1]), np.float32)
    queries[np.repeat(some, np.diff(newest.indptr)), newest.indices] = newest.data
    lengths = vectors.indptr[item + 1] - vectors.indptr[item]
    first = np.cumsum(lengths) - lengths
    entry = np.repeat(vectors.indptr[item] - first, lengths) + np.arange(int(lengths.sum()))
    place = np.repeat(owner * vectors.shape[1], lengths) + vectors.indices[entry]
    products = vectors.data[entry] * queries.ravel()[place]
    out = np.add.reduceat(np.append(products, np.float32(0.0)), first).astype(np.float32)
    silent = np.ones(len(rows), bool)
    silent[some] = ~part.known[last[some]]
    out[~part.known[item] | silent[owner]] = np.nan
    return out
