"""Initial item vectors: the leading principal directions of the items' texts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.models.dense.leading import leading_axes

Ints = npt.NDArray[np.int64]
NORM = 0.04
"""Root mean square of an initial vector's components; its norm is `NORM` times the root of its dimension."""
RIDGE = 0.1
"""L2 penalty as a share of the mean squared direction."""
LEAST_SHARE = 1e-4
"""Directions with less than this share of the largest variance are mostly noise and are not amplified."""
_BESIDE, _ROUNDS = 16, 6
"""Oversampling and iterations of the randomised search for singular vectors."""


def text_directions(dataset: Dataset, encoder: str, dimensions: int) -> Floats:
    """float32 (n_items, dimensions), rows of unit length; zeros for items without a text.

    `encoder`: see `SequenceTransformer.encoder`; "random" gives all zeros.
    """
    if encoder == "random":
        return np.zeros((dataset.n_items, dimensions), np.float32)
    if encoder == "none":
        return _of_words(
            TfidfEncoder(min_df=2, forms=dataset.words).fit_transform(dataset.item_texts), dimensions
        )
    from crossaisle.encoders.cache import pretrained

    return _whitened(pretrained(encoder).encode(dataset.item_texts), dimensions)


def _whitened(vectors: Floats, dimensions: int) -> Floats:
    """The leading principal components, each scaled to the same variance."""
    there = np.flatnonzero(vectors.any(axis=1))
    out = np.zeros((len(vectors), dimensions), np.float32)
    if not len(there):
        return out
    rows = vectors[there].astype(np.float64)
    rows -= rows.mean(axis=0)
    variance, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.argsort(-variance)[:dimensions]
    kept = kept[variance[kept] > LEAST_SHARE * max(variance.max(), 1e-12)]
    out[there, : len(kept)] = unit_rows(rows @ axes[:, kept] / np.sqrt(variance[kept]))
    return out


def _of_words(words: sparse.csr_matrix, dimensions: int) -> Floats:
    """The same for sparse rows, which are too wide to be centred: their leading left singular vectors."""
    d = min(dimensions, *words.shape)
    out = np.zeros((words.shape[0], dimensions), np.float32)
    if not words.nnz:
        return out
    wide = min(d + _BESIDE, *words.shape)
    axes = leading_axes(words, wide, rounds=_ROUNDS)
    left, size, _ = linalg.svd(words @ axes, full_matrices=False)
    strong = size[:d] ** 2 > LEAST_SHARE * size[0] ** 2
    out[:, : int(strong.sum())] = unit_rows(left[:, :d][:, strong])
    out[np.diff(words.indptr) == 0] = 0.0
    return out


def starting_vectors(texts: Floats, rng: np.random.Generator) -> Floats:
    """float32 (n, d): text directions, and random ones for items without a text, all of the same norm."""
    n, d = texts.shape
    random = unit_rows(rng.standard_normal((n, d)).astype(np.float32))
    return np.where(texts.any(axis=1, keepdims=True), texts, random) * np.float32(NORM * np.sqrt(d))


def moved_by_text(start: Floats, texts: Floats, learned: Floats, warm: Ints, counts: Ints) -> Floats:
    """float32 (n_items, d): vectors of unseen items, predicted from their texts; zeros for items without a
    text.

    Ridge regression of the change of each learned vector on its initial value, with items weighted by the
    square root of their events. `learned` float32 (len(warm), d), `counts` int64 (n_items,).
    """
    known: npt.NDArray[np.bool_] = np.any(texts, axis=1)
    of_text = known[warm]
    x, moved = start[warm][of_text].astype(np.float64), (learned - start[warm])[of_text]
    weight = np.sqrt(counts[warm][of_text])[:, None]
    gram = (x * weight).T @ x
    gram += (RIDGE * np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
    by_text = linalg.solve(gram, (x * weight).T @ moved, assume_a="pos")
    return np.where(known[:, None], start + start @ by_text, 0.0).astype(np.float32)
