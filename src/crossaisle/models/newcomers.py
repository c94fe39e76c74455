"""`Newcomers`: items that nobody has bought yet get the scores of those whose texts are nearest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.artifact import pack, unpack
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import LARGE, Arrays, Scorer
from crossaisle.models.scorers.vectors.vector_model import TextModel

NEIGHBOURS = 5
"""A new item gets scores from this many similar items."""
NEAREST = 200
"""Items that each part retrieves for a new item in a large shop; the best of them are neighbours."""
LEAST = 0.1
"""Similarity below which an item is not a neighbour."""
LENDING = 2.0
"""What is lent counts this many times where people's behaviour ranks: the mean of five hides that a new item
can be as good as the best of them. Never more than their mean, though: of products that are called the same
one sells. See docs/first-day.md for what other numbers give."""
_AT_ONCE = 256


def links_to(alike: Iterable[tuple[Rows, Floats]], n_items: int) -> sparse.csr_matrix:
    """csr float32 (n, n_items): how much of a neighbour's score each new item gets.

    `alike`: for each new item int32 rows and their similarity to it. The `NEIGHBOURS` most similar share the
    largest similarity by theirs: an item unlike all others has low scores.
    """
    rows, values = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for similar, likeness in alike:
        k = min(NEIGHBOURS, len(likeness))
        best = np.argpartition(likeness, -k)[-k:] if k else np.empty(0, np.intp)
        best = best[likeness[best] >= LEAST]
        weights = likeness[best]
        rows.append(similar[best])
        values.append(weights / max(float(weights.sum()), 1e-9) * weights.max(initial=0.0))
    indptr = np.cumsum([len(each) for each in rows])
    triple = np.concatenate(values), np.concatenate(rows), indptr
    return sparse.csr_matrix(triple, shape=(len(rows) - 1, n_items), dtype=np.float32)


def lent_by(links: sparse.csr_matrix, lending: float) -> sparse.csr_matrix:
    """csr float32 (n, n_items): links, each row `lending` times, adding up to at most 1."""
    total = np.maximum(np.asarray(links.sum(axis=1), np.float32).ravel(), np.float32(1e-9))
    times = np.minimum(np.float32(lending), np.maximum(1.0 / total, 1.0))
    return sparse.csr_matrix(sparse.diags_array(times) @ links, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Newcomers:
    """The items of a data set without an event, and what they get of the scores of others."""

    rows: Rows
    """int32 (c,), ascending: items without an event that resemble one with some."""
    links: sparse.csr_matrix
    """csr float32 (c, n_items)."""

    @classmethod
    def of(cls, parts: Iterable[Scorer], dataset: Dataset) -> Newcomers | None:
        """By the mean cosine of the text models among fitted parts; None where none is new or all are, and
        in large shops, whose items are not all scored."""
        texts = [part for part in parts if isinstance(part, TextModel)]
        bought = dataset.item_counts > 0
        new = np.flatnonzero(~bought).astype(np.int32)
        if not texts or not len(new) or not bought.any() or dataset.n_items > LARGE:
            return None
        links = links_to(_alike(texts, new, np.flatnonzero(bought).astype(np.int32)), dataset.n_items)
        linked = np.diff(links.indptr) > 0
        return cls(new[linked], links[linked]) if linked.any() else None

    def lenders(self, row: int) -> list[tuple[int, float]]:
        """The rows whose scores a new item is lent, and how many times; none for other items."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or self.rows[at] != row:
            return []
        link = self.lent[at]
        order = np.argsort(-link.data, kind="stable")
        return list(zip(link.indices[order].tolist(), link.data[order].tolist(), strict=True))

    def with_lenders(self, rows: Rows) -> Rows:
        """int32, ascending: some item rows, and those that lend to the new items among them."""
        new = np.flatnonzero(np.isin(self.rows, rows))
        return np.union1d(rows, self.links[new].indices).astype(np.int32) if len(new) else rows

    @cached_property
    def lent(self) -> sparse.csr_matrix:
        """csr float32 (c, n_items): what the items get."""
        return lent_by(self.links, LENDING)

    def arrays(self) -> Arrays:
        """What a saved folder keeps; see `from_arrays`."""
        return pack({"rows": self.rows, "links": self.links})

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Newcomers:
        """The opposite of `arrays`."""
        values = unpack(arrays)
        return cls(np.asarray(values["rows"]), values["links"])

    def fill(self, scores: Floats) -> Floats:
        """float32 (n, n_items), changed in place: a new item's own score, or what it is lent if that is more.

        What is lent counts `LENDING` times, see `lent_by`.

        NaN stays where neither is known.
        """
        known = ~np.isnan(scores)
        lent = np.where(known, scores, np.float32(0.0)) @ self.lent.T
        heard = (known.astype(np.float32) @ self.links.T) > 0
        own = scores[:, self.rows]
        scores[:, self.rows] = np.where(heard, np.fmax(own, lent), own)
        return scores


def _alike(
    texts: Sequence[TextModel], new: Rows, bought: Rows
) -> Iterable[tuple[Rows, npt.NDArray[np.float32]]]:
    for start in range(0, len(new), _AT_ONCE):
        some = new[start : start + _AT_ONCE]
        likeness = sum(part.item_similarity(some, bought) for part in texts) / np.float32(len(texts))
        yield from ((bought, row) for row in np.asarray(likeness, np.float32))
