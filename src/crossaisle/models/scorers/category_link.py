"""`CategoryLink`: from the categories of a history to items of the categories that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset, strongest
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer, pack_words, unpack_words
from crossaisle.models.space import AnyDecay, Choice, Range, Space
from crossaisle.models.topk import Mask, best_rows, first_of, union
from crossaisle.models.updates import COUNTED, Change, Counts, Updated, products, total
from crossaisle.sharing import shared

_DENSE_CELLS = 50_000_000
"""Categories times items up to which the shares are kept dense: every history has many of the categories."""


@dataclass(kw_only=True)
class CategoryLink(Scorer):
    """How likely users of a category are to have an item, averaged over the history's categories.

    `P(item | category) = (users of both + shrink * P(item)) / (users of the category + shrink)`, counted
    over users for other categories than the item's own. After P-Companion (Hao et al., CIKM 2020), which
    goes by category first and by item within it, with counts instead of its networks.
    """

    depth: int | None = field(default=None, metadata={"low": -1, "high": 100})
    """Level of the taxonomy, 0 = top, -1 = leaf; None: the one that the shop calls category."""
    shrink: float = field(default=100.0, metadata={"low": 1e-6, "high": 1e9})
    """Users of average taste added to every category."""
    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""

    counts_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_categories, n_items): share of a category's users who had the item, shrunk."""
    prior_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): share of all users who had the item."""
    mix_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_categories,): the part of the prior in each category, shrink / (users + shrink)."""
    codes_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): category per item, -1 unknown."""
    lifts_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_categories, n_categories): P(target | source) / P(target)."""
    names_: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    """uint8: category names by code, UTF-8, one per line."""

    kind: ClassVar[str] = "category_link"
    space: ClassVar[Space] = {
        "shrink": Range(low=3.0, high=3000.0),
        "depth": Choice((-1, 0)),
        "decay": AnyDecay(),
    }
    reason: ClassVar[str] = "category link"
    rest_reason: ClassVar[str | None] = "popular"
    learned: ClassVar[tuple[str, ...]] = ("counts_", "prior_", "mix_", "codes_", "lifts_", "names_")

    def fit(self, dataset: Dataset) -> CategoryLink:
        return self.learn(self.count(dataset), dataset)

    def count(self, dataset: Dataset) -> Counts:
        """Users of a category and an item, csr float32 (n_categories, n_items), of two categories, float32
        (n_categories, n_categories), of an item, float32 (n_items,), and of anything, float64 (1,)."""
        codes = dataset.taxonomy.codes(self.depth)
        n = len(dataset.taxonomy.names(self.depth))
        users = dataset.matrix()
        if dataset.events.weight is None:
            shopped = (users @ _members(codes, n)).tocsr()
            shopped.data[:] = 1.0
        else:
            cells = users.tocoo()
            code = codes[cells.col]
            row, code, value = cells.row[code >= 0], code[code >= 0], cells.data[code >= 0]
            shopped = strongest(row, code, value, (users.shape[0], n))
        return {
            "together": products(shopped, users),
            "both": (shopped.T @ shopped).toarray(),
            "size": np.asarray(shopped.sum(axis=0), np.float32).ravel(),
            "held": np.asarray(users.sum(axis=0), np.float32).ravel(),
            "users": np.array([(np.diff(users.indptr) > 0).sum()], np.float64),
        }

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """Exact, but for the order in which float32 numbers are added."""
        n = change.before.n_items
        names = (shop.taxonomy.names(self.depth) for shop in (change.before, change.after))
        same = len(set(names)) == 1 and np.array_equal(
            self.codes_, change.after.taxonomy.codes(self.depth)[:n]
        )
        if not change.adds_up or not same:
            return super().update(change)
        before = self.count(change.before) if counts is None else counts
        after = total(before, self.count(change.now), self.count(change.then))
        return Updated(replace(self).learn(after, change.after), COUNTED, after)

    def learn(self, counts: Counts, dataset: Dataset) -> CategoryLink:
        """What `fit` does once it has counted."""
        self.codes_ = dataset.taxonomy.codes(self.depth)
        self.names_ = pack_words(dataset.taxonomy.names(self.depth))
        n_users, size = max(float(counts["users"][0]), 1.0), counts["size"]
        self.prior_ = (counts["held"] / n_users).astype(np.float32)
        scale = 1.0 / (size + self.shrink)
        together = sparse.csr_matrix(sparse.diags_array(scale) @ counts["together"], dtype=np.float32)
        row = np.repeat(np.arange(len(size)), np.diff(together.indptr))
        together.data[self.codes_[together.indices] == row] = 0.0
        together.eliminate_zeros()
        self.counts_ = together
        self.mix_ = (self.shrink * scale).astype(np.float32)
        both = counts["both"]
        expected = np.outer(size, size) / n_users
        self.lifts_ = ((both + self.shrink) / (expected + self.shrink)).astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items without events and histories without a known category."""
        self.check_fitted()
        query = self._query(histories)
        if self.counts_.shape[0] * self.counts_.shape[1] > _DENSE_CELLS:
            scores: Floats = (query @ self.counts_).toarray()
        else:
            scores = query @ self._counts
        scores += np.outer(query @ self.mix_, self.prior_)
        scores[:, self.prior_ == 0] = np.nan
        scores[np.diff(query.indptr) == 0] = np.nan
        return scores.astype(np.float32, copy=False)

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        query = self.once(histories, self._query)
        rows = []
        for part in map(slice, query.indptr[:-1], query.indptr[1:]):
            codes = [-1, *query.indices[part].tolist()]
            rows.append(union([self._leading(code, k, among) for code in codes]))
        return [
            at[best_rows(scores[None, :], k)[0]]
            for at, scores in zip(rows, self.score_at(histories, rows), strict=True)
        ]

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        query = self.once(histories, self._query)
        speaking = np.diff(query.indptr) > 0
        out = []
        for one, at, speaks, prior in zip(query.toarray(), rows, speaking, query @ self.mix_, strict=True):
            scores = (self._by_item[at] @ one + prior * self.prior_[at]).astype(np.float32)
            scores[(self.prior_[at] == 0) | ~speaks] = np.nan
            out.append(scores)
        return out

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_categories): the share of each category in each history."""
        query = histories.matrix(self._event_weights(histories), len(self.codes_)) @ self._members
        query.eliminate_zeros()
        return query

    def _leading(self, code: int, k: int, among: Mask | None) -> Rows:
        """Up to `k` rows that a category, or the prior (-1), puts first."""
        order = self._orders.get(code)
        if order is None:
            if code < 0:
                rows, value = np.flatnonzero(self.prior_).astype(np.int32), self.prior_[self.prior_ != 0]
            else:
                part = slice(self.counts_.indptr[code], self.counts_.indptr[code + 1])
                rows, value = self.counts_.indices[part], self.counts_.data[part]
            order = self._orders[code] = rows[np.argsort(-value, kind="stable")]
        return first_of(order, k, among)

    @cached_property
    def _orders(self) -> dict[int, Rows]:
        """Category -> int32 rows, the best first; those that were asked for."""
        return {}

    @cached_property
    def _by_item(self) -> sparse.csr_matrix:
        """csr float32 (n_items, n_categories): the shares, to be read by item."""
        return self.counts_.T.tocsr()

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its share of the history times what its category adds to everybody's chance
        of the item, or takes from it; the rest is that chance.
        """
        self.check_fitted()
        weights = self._event_weights(histories)
        source = self.codes_[histories.item]
        dense = self.counts_.shape[0] * self.counts_.shape[1] <= _DENSE_CELLS
        counts = self._counts[:, item] if dense else self._by_item[item].toarray().ravel()
        chance = counts + self.mix_ * self.prior_[item]
        known = source >= 0
        out = np.zeros(len(weights), np.float32)
        if not known.any():
            return out, 0.0
        out[known] = weights[known] * (chance[source[known]] - self.prior_[item])
        return out, float(self.prior_[item])

    def category_link(self, source: int, target: int) -> tuple[str, str, float] | None:
        """The categories of two item rows and the lift between them; None within one category."""
        a, b = int(self.codes_[source]), int(self.codes_[target])
        if min(a, b) < 0 or a == b:
            return None
        names = unpack_words(self.names_)
        return names[a], names[b], float(self.lifts_[a, b])

    @cached_property
    def _members(self) -> sparse.csr_matrix:
        return _members(self.codes_, len(self.mix_))

    @cached_property
    def _counts(self) -> Floats:
        """float32 (n_categories, n_items)"""
        dense: Floats = shared(self.counts_.data, "dense", self.counts_.toarray)
        return dense

    def _event_weights(self, histories: Histories) -> Floats:
        """float32 (nnz,): decayed, summing to 1 over each history; 0 for items without a category."""
        weights = np.where(self.codes_[histories.item] >= 0, self.decay.weights(histories), 0.0)
        total = np.bincount(histories.owner, weights, len(histories))
        return (weights / np.maximum(total, 1e-12)[histories.owner]).astype(np.float32)


def _members(codes: npt.NDArray[np.int32], n_categories: int) -> sparse.csr_matrix:
    """csr (n_items, n_categories): 1 where an item lies in a category."""
    known = np.flatnonzero(codes >= 0)
    one = np.ones(len(known), np.float32)
    return sparse.csr_matrix((one, (known, codes[known])), shape=(len(codes), n_categories))
