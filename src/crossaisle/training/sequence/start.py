"""Where item vectors start: the leading directions of what is known of the texts."""

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
"""Of a vector at the start, times the root of its length."""
RIDGE = 0.1
"""L2 penalty as a share of the mean squared direction."""
LEAST_SHARE = 1e-4
"""Directions with less than this share of the strongest one's variance carry noise and are not blown up."""
_BESIDE, _ROUNDS = 16, 6
"""Directions beside the wanted ones, and rounds, of the search for singular vectors."""


def text_directions(dataset: Dataset, encoder: str, dimensions: int) -> Floats:
    """float32 (n_items, dimensions), rows of unit length; zeros where an item has no text.

    `encoder` as in `SequenceTransformer.encoder`; "random" gives zeros throughout.
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
    """The first principal directions, each with the same variance."""
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
    """The same for sparse rows, which are too wide to be centred: their leading singular vectors."""
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
    """float32 (n, d): directions of texts, and random ones for items without a text, all of one norm."""
    n, d = texts.shape
    random = unit_rows(rng.standard_normal((n, d)).astype(np.float32))
    return np.where(texts.any(axis=1, keepdims=True), texts, random) * np.float32(NORM * np.sqrt(d))


def moved_by_text(start: Floats, texts: Floats, learned: Floats, warm: Ints, counts: Ints) -> Floats:
    """float32 (n_items, d): what a vector would have become, told from its text; zeros where there is none.

    Ridge regression of how far each learned vector moved on where it started, items weighted by the root of
    their events. `learned` float32 (len(warm), d), `counts` int64 (n_items,).
    """
    known: npt.NDArray[np.bool_] = np.any(texts, axis=1)
    of_text = known[warm]
    x, moved = start[warm][of_text].astype(np.float64), (learned - start[warm])[of_text]
    weight = np.sqrt(counts[warm][of_text])[:, None]
    gram = (x * weight).T @ x
    gram += (RIDGE * np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
    by_text = linalg.solve(gram, (x * weight).T @ moved, assume_a="pos")
    return np.where(known[:, None], start + start @ by_text, 0.0).astype(np.float32)
