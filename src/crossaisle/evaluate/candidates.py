"""Which items compete for which case, as bit sets: one bit per item, 64 items per word.

Counting a comparison inside a restricted candidate set is then an AND and a population count,
so that one pass over the scores serves every slice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.evaluate.slices import LEAF, Limit

Bits = npt.NDArray[np.uint64]


class Candidates:
    """Candidate sets of a batch of cases, for every `Limit` in use."""

    def __init__(self, cases: EvalCases, taxonomy: Taxonomy, limits: Iterable[Limit]) -> None:
        self.mask_seen = cases.mask_seen
        self.other_categories_only = cases.other_categories_only
        self.limits: tuple[Limit, ...] = tuple(dict.fromkeys(["open", *limits]))
        self.category, self.leaf = taxonomy.codes(), taxonomy.codes(LEAF)
        self.n_items = len(self.category)

    def allowed(self, histories: Histories) -> dict[str, npt.NDArray[np.bool_]]:
        """bool (n, n_items) per limit: whether an item is a candidate."""
        n, owner = len(histories), histories.owner
        unseen = np.ones((n, self.n_items), bool)
        unseen[owner, histories.item] = False
        start = unseen if self.mask_seen else np.ones_like(unseen)
        if self.other_categories_only:
            carts = histories.carts
            start = start & self._without(histories, carts.owner, carts.item, self.category, unknown=True)
        some = np.flatnonzero(histories.lengths)
        last = histories.last_item[some]
        out: dict[str, npt.NDArray[np.bool_]] = {}
        for limit in self.limits:
            category = self.leaf if limit.endswith("_leaf") else self.category
            if limit == "open":
                out[limit] = start
            elif limit == "unseen":
                out[limit] = start & unseen
            elif limit.startswith("other"):
                out[limit] = start & self._without(histories, some, last, category)
            else:
                out[limit] = start & self._without(histories, owner, histories.item, category)
        return out

    def _without(
        self,
        histories: Histories,
        rows: npt.NDArray[np.integer],
        items: Rows,
        category: Rows,
        *,
        unknown: bool = False,
    ) -> npt.NDArray[np.bool_]:
        """Items outside the categories of `items`; those of unknown category only where `unknown`."""
        table = np.ones((len(histories), int(category.max(initial=-1)) + 2), bool)
        table[rows, category[items]] = False
        table[:, -1] = unknown  # code -1: the last column
        return table[:, category]


def packed(matrix: npt.NDArray[np.bool_]) -> Bits:
    """uint64 (n, ceil(m / 64)) from bool (n, m)."""
    n, m = matrix.shape
    out = np.zeros((n, -(-m // 64) * 8), np.uint8)
    bits = np.packbits(matrix, axis=1, bitorder="little")
    out[:, : bits.shape[1]] = bits
    return out.view(np.uint64)


def count(bits: Bits) -> npt.NDArray[np.int64]:
    """int64 (n,): bits set in each row."""
    counts: npt.NDArray[np.int64] = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
    return counts
