"""`BasketLift`: what single baskets hold beside an item, its leaf category and its category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.item_item import keep_strongest
from crossaisle.models.space import Range, Space
from crossaisle.models.topk import Mask, values_at

_BLOCK = 1024
"""Leaf categories or items that are counted at once."""
_CELLS = 4_000_000
"""Numbers kept of all categories together."""


@dataclass(kw_only=True)
class BasketLift(Scorer):
    """How much likelier an item is in a basket that holds the cart: naive Bayes with counts that back off.

    Shares are shrunk towards those of the next wider group (Jelinek and Mercer 1980; Zhai and Lafferty,
    SIGIR 2001), c(i) being the leaf category and d(i) the category of item i, n a number of baskets:

        P(j | d)    = (n_dj + s_d P(j))        / (n_d + s_d)
        P(j | c)    = (n_cj + s_c P(j | d))    / (n_c + s_c)
        P(j | i)    = (n_ij + s_i P(j | c(i))) / (n_i + s_i)
        score(j)    = 1 / sqrt(|cart|) * sum over i in cart of ln(P(j | i) / P(j))

    The logarithm is kept as a sum, ln(P(j|i) / P(j|c)) + ln(P(j|c) / P(j|d)) + ln(P(j|d) / P(j)), and of
    the first two only what moves P(j) most: what is left out counts as 0, that is, as in the wider group.
    Together with ln P(j) (`Popularity` with `log` and `baskets`) it is the posterior of naive Bayes; the
    root stands for what the items of one cart say twice. Meant for items of other categories than the
    cart's. Directed: from i to j is not from j to i.
    """

    half_life_days: float | None = field(default=120.0, metadata={"low": 0.001, "high": 1e9})
    """A basket this much older than the newest counts half. None: all count the same."""
    item_shrink: float = field(default=60.0, metadata={"low": 1e-6, "high": 1e9})
    """Baskets of the leaf category's taste added to every item (s_i)."""
    leaf_shrink: float = field(default=200.0, metadata={"low": 1e-6, "high": 1e9})
    """Baskets of the category's taste added to every leaf category (s_c)."""
    category_shrink: float = field(default=500.0, metadata={"low": 1e-6, "high": 1e9})
    """Baskets of everybody's taste added to every category (s_d)."""
    max_items: int = field(default=5_000, metadata={"low": 1, "high": 10_000_000})
    """Only this many items, those in the most baskets, are scored: rare ones would win by chance."""
    keep: int = field(default=100, metadata={"low": 1, "high": 10_000_000})
    """Numbers kept per item, those that move the share of a candidate most; three times as many per leaf
    category."""

    weights_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_items + n_leaves + n_categories, n_items): the three logarithms."""
    leaf_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): row of the item's leaf category in `weights_`, -1 where it is unknown."""
    category_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): row of the item's category in `weights_`, -1 where it is unknown."""
    scored_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): the candidates this model can score."""

    kind: ClassVar[str] = "basket_lift"
    space: ClassVar[Space] = {
        "half_life_days": Range(low=14.0, high=1000.0),
        "item_shrink": Range(low=3.0, high=1000.0),
        "leaf_shrink": Range(low=10.0, high=3000.0),
        "category_shrink": Range(low=20.0, high=10_000.0),
    }
    reason: ClassVar[str] = "goes into the same basket"
    learned: ClassVar[tuple[str, ...]] = ("weights_", "leaf_", "category_", "scored_")

    def fit(self, dataset: Dataset) -> BasketLift:
        counts, n_items = _Counts.of(dataset, self.half_life_days, self.max_items), dataset.n_items
        categories, leaves = dataset.taxonomy.codes(), dataset.taxonomy.codes(-1)
        if np.array_equal(categories, leaves):  # the same counts would speak twice
            leaves = np.full_like(leaves, -1)
        n_categories, n_leaves = int(categories.max(initial=-1)) + 1, int(leaves.max(initial=-1)) + 1
        everyone = np.broadcast_to(counts.everyone, (n_categories, len(counts.everyone)))
        keep = _CELLS // max(n_categories, 1)
        by_category, chance = counts.shares(_members(categories), everyone, self.category_shrink, keep)
        # The last row is read by code -1: of an unknown category nothing is known but what everybody buys.
        chance = np.vstack([chance, counts.everyone])
        by_leaf, by_item, order = [], [], []
        for logs, items, wider, group in self._by_leaf(counts, leaves, categories, chance):
            by_leaf.append(logs)
            order.append(items)
            for start in range(0, len(items), _BLOCK):
                some = slice(start, start + _BLOCK)
                by_item.append(counts.of_items(items[some], wider[group[some]], self.item_shrink, self.keep))
        of_items = sparse.vstack(by_item, format="csr")[np.argsort(np.concatenate(order))]
        small = sparse.vstack([of_items, *by_leaf, by_category], format="csr", dtype=np.float32)
        columns = counts.candidates[small.indices].astype(np.int32)
        shape = (small.shape[0], n_items)
        self.weights_ = sparse.csr_matrix((small.data, columns, small.indptr), shape=shape)
        self.leaf_ = np.where(leaves >= 0, leaves + n_items, -1).astype(np.int32)
        self.category_ = np.where(categories >= 0, categories + n_items + n_leaves, -1).astype(np.int32)
        self.scored_ = np.isin(np.arange(n_items), counts.candidates)
        self.item_ids_ = dataset.item_ids
        return self

    def _by_leaf(
        self, counts: _Counts, leaves: Rows, categories: Rows, chance: Floats
    ) -> Iterator[tuple[sparse.csr_matrix, npt.NDArray[np.int64], Floats, Rows]]:
        """Blocks of leaf categories: their logarithms, the rows of their items, shares, and the row of
        these that an item backs off to. The last block are items without a leaf category of their own."""
        members, n_leaves = _members(leaves), int(leaves.max(initial=-1)) + 1
        category_of = np.full(n_leaves + 1, -1, np.int32)
        category_of[leaves] = categories
        for start in range(0, n_leaves, _BLOCK):
            block = slice(start, min(start + _BLOCK, n_leaves))
            above = chance[category_of[block]]
            logs, shares = counts.shares(members[:, block], above, self.leaf_shrink, 3 * self.keep)
            items = np.flatnonzero((leaves >= start) & (leaves < block.stop))
            yield logs, items, shares, leaves[items] - np.int32(start)
        without = np.flatnonzero(leaves < 0)
        nothing = sparse.csr_matrix((0, chance.shape[1]), dtype=np.float32)
        yield nothing, without, chance, categories[without]

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items that are not scored and for carts that say nothing."""
        self.check_fitted()
        query = self._query(histories)
        scores: Floats = (query @ self.weights_).toarray()
        scores[:, ~self.scored_] = np.nan
        scores[~self._speaking(query)] = np.nan
        return scores

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        scores = self._query(histories) @ self.weights_
        scores.sort_indices()
        out = []
        for part in map(slice, scores.indptr[:-1], scores.indptr[1:]):
            rows, value = scores.indices[part], scores.data[part]
            if among is not None:
                rows, value = rows[among[rows]], value[among[rows]]
            out.append(rows[np.sort(np.argpartition(value, -k)[-k:])] if len(rows) > k else rows)
        return out

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        query = self._query(histories)
        scores, speaking = query @ self.weights_, self._speaking(query)
        scores.sort_indices()
        return [
            np.where(self.scored_[at] & speaking[row], values_at(scores, row, at), np.float32(np.nan))
            for row, at in enumerate(rows)
        ]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each item of the cart gives its own three logarithms."""
        self.check_fitted()
        events = histories.item
        if not self.scored_[item] or not len(events):
            return np.zeros(len(events), np.float32), 0.0
        column = self._columns[:, [item]].toarray().ravel()
        amount = sum(np.where(at >= 0, column[at], 0.0) for at in (events, *self._groups(events)))
        repeats = np.bincount(events)[events]
        return (amount / repeats / np.sqrt(len(np.unique(events)))).astype(np.float32), 0.0

    def _groups(self, items: Rows) -> tuple[Rows, Rows]:
        return self.leaf_[items], self.category_[items]

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, rows of `weights_`): each item of a cart once, with its groups."""
        n_items = len(self.scored_)
        cart = histories.matrix(None, n_items)
        size = np.diff(cart.indptr)
        owner, value = (
            np.repeat(np.arange(len(cart.indptr) - 1), size),
            np.repeat(1 / np.sqrt(np.maximum(size, 1)), size),
        )
        row = np.concatenate([cart.indices, *self._groups(cart.indices)])
        known = row >= 0
        triple = (np.tile(value, 3)[known].astype(np.float32), (np.tile(owner, 3)[known], row[known]))
        return sparse.csr_matrix(triple, shape=(len(size), self.weights_.shape[0]))

    def _speaking(self, query: sparse.csr_matrix) -> npt.NDArray[np.bool_]:
        """bool (n,): carts of which anything is known."""
        has = np.diff(self.weights_.indptr)[query.indices] > 0
        owner = np.repeat(np.arange(query.shape[0]), np.diff(query.indptr))
        return np.bincount(owner, has, query.shape[0]) > 0

    @cached_property
    def _columns(self) -> sparse.csc_matrix:
        return self.weights_.tocsc()


@dataclass(frozen=True)
class _Counts:
    """Baskets, and what they hold of the items that are scored."""

    baskets: sparse.csr_matrix
    """csr float32 (n_baskets, n_items), 1 where a basket has an item."""
    candidates: npt.NDArray[np.int64]
    """int64 (n_scored,): rows of the items that are scored, ascending."""
    held: sparse.csr_matrix
    """csr float32 (n_baskets, n_scored): the weight of a basket where it has a scored item."""
    weight: Floats
    """float32 (n_baskets,): 1 for the newest basket."""
    everyone: Floats
    """float32 (n_scored,): share of all baskets that have the item."""

    @classmethod
    def of(cls, dataset: Dataset, half_life_days: float | None, max_items: int) -> _Counts:
        baskets = dataset.basket_matrix().tocsr()
        weight = dataset.basket_weights(half_life_days)
        baskets, weight = baskets[weight > 0], weight[weight > 0]
        count = np.asarray(baskets.sum(axis=0)).ravel()
        most = min(max_items, int((count > 0).sum()))
        candidates = np.sort(np.argsort(-count, kind="stable")[:most])
        held = sparse.csr_matrix(sparse.diags_array(weight) @ baskets[:, candidates], dtype=np.float32)
        total = max(float(weight.sum()), 1e-12)
        everyone = (np.asarray(held.sum(axis=0), np.float64).ravel() / total).astype(np.float32)
        return cls(baskets, candidates, held, weight, np.maximum(everyone, np.float32(1e-12)))

    def shares(
        self, members: sparse.csr_matrix, above: Floats, shrink: float, keep: int
    ) -> tuple[sparse.csr_matrix, Floats]:
        """Of groups, `members` csr (n_items, groups): the best logarithms, csr (groups, n_scored), and the
        shares float32 (groups, n_scored). `above`: the shares, of that shape, that they shrink to."""
        groups = (self.baskets @ members).tocsr()
        groups.data[:] = 1.0
        size = np.asarray(groups.T @ self.weight, np.float32).reshape(-1, 1)
        shares = (groups.T @ self.held).toarray() + np.float32(shrink) * above
        shares = (shares / (size + np.float32(shrink))).astype(np.float32)
        gain = np.abs(shares - above)
        if keep < shares.shape[1]:
            gain[gain < np.partition(gain, -keep, axis=1)[:, -keep:].min(axis=1, keepdims=True)] = 0.0
        row, column = np.nonzero(gain)
        logs = np.log(shares[row, column] / above[row, column])
        return sparse.csr_matrix((logs, (row, column)), shape=shares.shape), shares

    def of_items(
        self, items: npt.NDArray[np.int64], above: Floats, shrink: float, keep: int
    ) -> sparse.csr_matrix:
        """csr (items, n_scored): the best logarithms of some items; `above` as for `shares`.

        Only items that were in one basket are looked at.
        """
        together = sparse.csr_matrix(self.baskets[:, items].T @ self.held, dtype=np.float32)
        size = np.asarray(self.baskets[:, items].T @ self.weight, np.float32).ravel()
        row = np.repeat(np.arange(len(items)), np.diff(together.indptr))
        wider = above[row, together.indices]
        share = (together.data + np.float32(shrink) * wider) / (size[row] + np.float32(shrink))
        gain = together.copy()
        gain.data = share - wider
        gain.data[items[row] == self.candidates[together.indices]] = 0.0
        together.data = np.log(share / wider)
        gain = keep_strongest(gain, keep)
        gain.data[:] = 1.0
        return together.multiply(gain).tocsr()


def _members(codes: npt.NDArray[np.int32]) -> sparse.csc_matrix:
    """csc float32 (n_items, groups): 1 where an item lies in a group, a code of -1 in none."""
    known = np.flatnonzero(codes >= 0)
    shape = (len(codes), int(codes.max(initial=-1)) + 1)
    return sparse.csc_matrix((np.ones(len(known), np.float32), (known, codes[known])), shape=shape)
