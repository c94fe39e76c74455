"""`ItemSpace`: vectors of a catalogue's items from their texts, and the words used to label groups of
them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.text.telling import is_telling
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.tfidf import TfidfEncoder

DIMENSIONS = 32
"""Dimensions of latent semantic analysis, used if there are no vectors of an encoder."""


@dataclass(frozen=True, eq=False)
class ItemSpace:
    """Vectors and words of `n_items` items."""

    vectors: Floats
    """float32 (n_items, d): rows of unit length; zeros for items without a text."""
    words: sparse.csr_matrix
    """csr float32 (n_items, vocabulary): TF-IDF of single words in titles."""
    terms: tuple[str, ...]
    """The word of each column."""

    @classmethod
    def of(cls, dataset: Dataset, vectors: Floats | None = None) -> ItemSpace:
        """`vectors`: of an encoder, float32 (n_items, d); by default TF-IDF of the texts reduced to
        `DIMENSIONS` (LSA, Deerwester et al. 1990)."""
        if vectors is None:
            vectors = reduced(TfidfEncoder(min_df=2).fit_transform(dataset.item_texts))
        encoder = TfidfEncoder(bigrams=False, min_df=2)
        words = encoder.fit_transform(dataset.items["title"].to_list())
        return cls(unit_rows(vectors), words, encoder.vocabulary_)

    @cached_property
    def telling(self) -> npt.NDArray[np.bool_]:
        """bool (vocabulary,): words suitable for labels."""
        return np.array([is_telling(term) for term in self.terms], bool)


def reduced(counts: sparse.csr_matrix, dimensions: int = DIMENSIONS) -> Floats:
    """float32 (n, d): rows projected onto the leading singular directions; deterministic."""
    if min(counts.shape) <= dimensions + 1:
        return np.asarray(counts.todense(), np.float32)
    directions = svds(counts, k=dimensions, random_state=0)[2]
    return np.asarray(counts @ directions.T, np.float32)
