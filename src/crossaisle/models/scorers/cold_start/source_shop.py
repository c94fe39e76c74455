"""`SourceShop`: what another shop's customers do, small enough to travel with a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.models.base import Arrays, pack_words, unpack_words
from crossaisle.models.scorers.item_item import keep_strongest

MOST_ITEMS = 4_000
"""The source's most bought items that are carried over."""
SHRINK = 60.0
"""Users (or baskets) of average taste added to those of an item."""
KEEP = 100
"""Lifts kept per item."""
SHARPNESS = 0.05
"""Temperature: a category this much nearer in cosine gets e times the share of an item."""
LEAST, SURE = 0.2, 0.6
"""Cosine of an item and the category nearest to it: below the first it is not carried over, from the second
on in full."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceShop:
    """No users and no item ids: texts, how many had each item, and what went together."""

    name: str
    encoder: str | None
    """The text encoder that compares items and categories, beside words."""
    texts: tuple[str, ...]
    """(m,): of its most bought items."""
    category: tuple[str, ...]
    """(m,): their leaf categories, "" where unknown."""
    share: Floats
    """float32 (m,): share of its users, or baskets, that had the item."""
    lifts: sparse.csr_matrix
    """csr float32 (m, m): ln P(j | i) / P(j), shrunk, where it is above 0."""

    @classmethod
    def of(cls, dataset: Dataset, *, encoder: str | None, most: int = MOST_ITEMS) -> SourceShop:
        """From a shop with events: single trips where they are known, else everything that a user did."""
        together = dataset.basket_matrix().tocsr()
        n = max(int((np.diff(together.indptr) > 0).sum()), 1)
        size = np.asarray(together.sum(axis=0)).ravel()
        chosen = np.sort(np.argsort(-size, kind="stable")[: min(most, int((size > 0).sum()))])
        leaf, names = dataset.taxonomy.codes(-1), (*dataset.taxonomy.names(-1), "")
        return cls(
            name=dataset.name,
            encoder=encoder,
            texts=tuple(" ".join(dataset.item_texts[row].split()) for row in chosen.tolist()),
            category=tuple(names[leaf[row]] for row in chosen.tolist()),
            share=(size[chosen] / n).astype(np.float32),
            lifts=_lifts(together[:, chosen], size[chosen], n),
        )

    def arrays(self) -> Arrays:
        """What a saved scorer keeps; see `from_arrays`."""
        lifts = self.lifts.tocoo()
        return {
            "source_names": pack_words([self.name, self.encoder or ""]),
            "source_texts": pack_words(self.texts),
            "source_category": pack_words(self.category),
            "source_share": self.share,
            "source_lifts": lifts.data.astype(np.float32),
            "source_lifts_at": np.stack([lifts.row, lifts.col]).astype(np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SourceShop:
        """The opposite of `arrays`."""
        share, at = np.asarray(arrays["source_share"]), np.asarray(arrays["source_lifts_at"])
        name, encoder = unpack_words(arrays["source_names"])
        m = len(share)
        return cls(
            name=name,
            encoder=encoder or None,
            texts=tuple(unpack_words(arrays["source_texts"]))[:m],
            category=tuple(unpack_words(arrays["source_category"]))[:m],
            share=share,
            lifts=sparse.csr_matrix((np.asarray(arrays["source_lifts"]), (at[0], at[1])), shape=(m, m)),
        )

    def shares_of(self, categories: Sequence[str]) -> tuple[sparse.csr_matrix, Floats]:
        """How its items fall on the categories of another shop, by what both are called.

        Returns csr float32 (c, m), how much of an item a category gets, which adds up to the confidence of
        each item; and that confidence, float32 (m,). An item goes to the categories whose names are
        nearest to its text: a softmax of the cosines of words and, where there is an encoder, of meanings.
        """
        m, c = len(self.texts), len(categories)
        if not m or not c:
            return sparse.csr_matrix((c, m), dtype=np.float32), np.zeros(m, np.float32)
        words = TfidfEncoder(bigrams=False).fit_transform([*categories, *self.texts])
        cosine = np.asarray((words[:c] @ words[c:].T).toarray(), np.float32)
        if self.encoder is not None:
            from crossaisle.encoders.cache import pretrained

            raw = pretrained(self.encoder).encode([*categories, *self.texts])
            meant = unit_rows(raw - raw.mean(axis=0))
            cosine = np.asarray((cosine + meant[:c] @ meant[c:].T) / 2, np.float32)
        top = cosine.max(axis=0)
        weight = np.exp((cosine - top) / np.float32(SHARPNESS))
        weight[weight < 0.01] = 0.0
        sure = np.clip((top - LEAST) / (SURE - LEAST), 0.0, 1.0).astype(np.float32)
        weight = weight * sure / weight.sum(axis=0)
        return sparse.csr_matrix(weight, dtype=np.float32), sure


def _lifts(had: sparse.csr_matrix, size: Floats, n: int) -> sparse.csr_matrix:
    """csr float32 (m, m): ln ((n_ij + s P(j)) / (n_i + s) / P(j)), the `KEEP` largest of a row above 0."""
    both = (had.T @ had).tocsr().astype(np.float32)
    row = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    chance = size[both.indices] / n
    lift = (both.data + SHRINK * chance) / (size[row] + SHRINK) / chance
    both.data = np.where(both.indices == row, 0.0, np.maximum(np.log(lift), 0.0)).astype(np.float32)
    both.eliminate_zeros()
    return keep_strongest(both, KEEP)
