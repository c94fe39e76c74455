"""`LeafLift`: which leaf categories people surely buy together, told by how many people do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.space import Range, Space

_USERS_AT_ONCE = 250
"""Users whose pairs of leaf categories are counted at once."""
_SUBSTITUTES = 0.5
"""Leaf categories that share this much of their words are two shelves of one thing."""
_LEAVES = 20_000
"""Of at most this many leaf categories, those in the most baskets, pairs are looked at."""


@dataclass(kw_only=True)
class LeafLift(Scorer):
    """How surely an item's leaf category is bought in one basket with those of the cart.

    With n_cd the baskets that hold leaf categories c and d, of N, and m_cd the users they come from,

        lift(c, d)  = ln((n_cd + 1) N / (n_c n_d + N)) - z / sqrt(m_cd),  0 where that is below 0
        score(j)    = 1 / sqrt(|cart|) * sum over i in cart of lift(c(i), c(j))

    A household's baskets are no independent witnesses: one that buys cat food and batteries every week has
    one habit. So the bound goes by users (the standard error of the logarithm of a count is one over its
    root). Leaf categories that share half of the words of their names are substitutes and have no lift.

    With `lead` a score is given only to the best item of each of `lead` leaf categories, none of a category
    that the cart has, and 1 is added, so that a blend can put them first. They are chosen by their lift and
    by how well their best item sells, and stand in the order of their lifts: what sells well everywhere may
    be among them, and comes last.
    """

    z: float = field(default=1.64, metadata={"low": 0.0, "high": 10.0})
    """Standard errors taken off the logarithm of a lift."""
    lead: int = field(default=0, metadata={"low": 0, "high": 1000})
    """This many leaf categories are scored, by their best item. 0: all items of all of them."""
    popular: float = field(default=0.3, metadata={"low": 0.0, "high": 10.0})
    """With `lead`: how much the logarithm of the best item's share of baskets counts in the choice."""
    max_users: int = field(default=5_000, metadata={"low": 1, "high": 10**9})
    """Counted over a seeded sample of this many users."""
    seed: int = field(default=0, metadata={"low": 0, "high": 2**31 - 1})

    lifts_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_leaves, n_leaves): the lower bounds above 0."""
    leaf_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): leaf category, -1 unknown."""
    sold_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): items with a leaf category and an event, which are scored."""
    category_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_leaves,): the category that a leaf category belongs to, -1 unknown."""
    best_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_leaves,): the item of each in the most baskets, -1 for none."""
    share_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_leaves,): the logarithm of that item's share of baskets; 0 for none."""

    kind: ClassVar[str] = "leaf_lift"
    space: ClassVar[Space] = {"z": Range(low=0.5, high=4.0)}
    reason: ClassVar[str] = "goes into the same basket"
    learned: ClassVar[tuple[str, ...]] = ("lifts_", "leaf_", "sold_", "category_", "best_", "share_")

    def fit(self, dataset: Dataset) -> LeafLift:
        self.leaf_ = dataset.taxonomy.codes(-1).astype(np.int32)
        names = [path.split(SEPARATOR)[-1] for path in dataset.taxonomy.names(-1)]
        self.sold_ = (self.leaf_ >= 0) & (dataset.item_counts > 0)
        n_leaves, category = len(names), dataset.taxonomy.codes()
        self.category_ = np.full(n_leaves, -1, np.int32)
        known = np.flatnonzero(self.leaf_ >= 0)
        self.category_[self.leaf_[known]] = category[known]
        baskets, owner = self._baskets(dataset)
        self.lifts_ = self._lifts(baskets, owner, n_leaves, names)
        count = np.asarray(dataset.basket_matrix().T @ dataset.basket_weights(30.0)).ravel()
        order = known[np.argsort(-count[known], kind="stable")]
        leaves, first = np.unique(self.leaf_[order], return_index=True)
        self.best_, self.share_ = np.full(n_leaves, -1, np.int32), np.zeros(n_leaves, np.float32)
        sold = count[order[first]] > 0
        self.best_[leaves[sold]] = order[first[sold]]
        top = max(float(count.max(initial=0.0)), 1e-12)
        self.share_[leaves[sold]] = np.log(count[order[first[sold]]] / top)
        self.item_ids_ = dataset.item_ids
        return self

    def learns_like(self, other: Scorer) -> bool:
        """`lead` and `popular` are not learned from."""
        if not isinstance(other, LeafLift):
            return False
        return (self.z, self.max_users, self.seed) == (other.z, other.max_users, other.seed)

    def _baskets(self, dataset: Dataset) -> tuple[sparse.csr_matrix, npt.NDArray[np.int64]]:
        """csr (n, n_items) of a sample of users' baskets, those of one user next to each other; and whose."""
        events, baskets = dataset.events, dataset.basket_matrix().tocsr()
        owner = np.full(baskets.shape[0], -1, np.int64)
        there = events.basket >= 0
        owner[events.basket[there]] = events.user[there]
        users = np.unique(owner[owner >= 0])
        if len(users) > self.max_users:
            users = np.random.default_rng(self.seed).permutation(users)[: self.max_users]
        rows = np.flatnonzero(np.isin(owner, users))
        rows = rows[np.argsort(owner[rows], kind="stable")]
        return baskets[rows], owner[rows]

    def _lifts(
        self, baskets: sparse.csr_matrix, owner: npt.NDArray[np.int64], n_leaves: int, names: Sequence[str]
    ) -> sparse.csr_matrix:
        known = np.flatnonzero(self.leaf_ >= 0)
        shape = (len(self.leaf_), n_leaves)
        members = sparse.csr_matrix(
            (np.ones(len(known), np.float32), (known, self.leaf_[known])), shape=shape
        )
        held = (baskets @ members).tocsr()
        held.data[:] = 1.0
        size = np.asarray(held.sum(axis=0)).ravel()
        held = (held @ sparse.diags_array((_rank(size) < _LEAVES).astype(np.float32))).tocsr()
        held.eliminate_zeros()
        both, users = (held.T @ held).tocsr(), sparse.csr_matrix((n_leaves, n_leaves), dtype=np.float32)
        for pairs in _pairs_of_users(held, owner):
            users = users + pairs
        both.sort_indices()
        users.sort_indices()
        cells, known_by = both.tocoo(), users.data  # a pair of one user's baskets is in both
        n = float(max(held.shape[0], 1))
        lift = np.log((cells.data + 1.0) * n / (size[cells.row] * size[cells.col] + n))
        lift -= self.z / np.sqrt(np.maximum(known_by, 1.0))
        good = (lift > 0) & (cells.row != cells.col) & ~_alike(names, cells.row, cells.col, lift > 0)
        where = (cells.row[good], cells.col[good])
        return sparse.csr_matrix((lift[good].astype(np.float32), where), shape=both.shape)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items without a leaf category or an event, and for carts that say
        nothing."""
        self.check_fitted()
        lifts = self._of_leaves(histories)
        out = np.full((len(histories), len(self.leaf_)), np.nan, np.float32)
        known = np.flatnonzero(self.sold_)
        if not self.lead:
            out[:, known] = lifts[:, self.leaf_[known]]
            return out
        out[:, known] = np.where(np.isnan(lifts).any(axis=1), np.float32(np.nan), np.float32(0.0))[:, None]
        for row, leaves in enumerate(self._leading(histories, lifts)):
            out[row, self.best_[leaves]] = 1.0 + lifts[row, leaves]
        return out

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each item of the cart gives its own lift; with `lead`, the score is shared by these."""
        self.check_fitted()
        events, leaf = histories.item, int(self.leaf_[item])
        if not self.sold_[item] or not len(events):
            return np.zeros(len(events), np.float32), 0.0
        column = self.lifts_[:, [leaf]].toarray().ravel()
        source = self.leaf_[events]
        amount = np.where(source >= 0, column[source], 0.0) / np.bincount(events)[events]
        if not self.lead:
            return (amount / np.sqrt(len(np.unique(events)))).astype(np.float32), 0.0
        score = float(np.nan_to_num(self.score_rows(histories)[0, item]))
        return (amount * (score / max(float(amount.sum()), 1e-12))).astype(np.float32), 0.0

    def _of_leaves(self, histories: Histories) -> Floats:
        """float32 (n, n_leaves): the lifts given each cart; NaN for carts of which nothing is known."""
        cart = histories.matrix(None, len(self.leaf_))
        size = np.diff(cart.indptr)
        owner = np.repeat(np.arange(len(size)), size)
        leaf = self.leaf_[cart.indices]
        there = leaf >= 0
        value = np.repeat(1 / np.sqrt(np.maximum(size, 1)), size)[there].astype(np.float32)
        shape = (len(size), self.lifts_.shape[0])
        asked = sparse.csr_matrix((value, (owner[there], leaf[there])), shape=shape)
        lifts: Floats = (asked @ self.lifts_).toarray()
        lifts[np.diff(asked.indptr) == 0] = np.nan
        return lifts

    def _leading(self, histories: Histories, lifts: Floats) -> Iterator[Rows]:
        """For each cart the leaf categories that lead, at most `lead`."""
        for row, lift in enumerate(lifts):
            cart = self.leaf_[histories.items_of(row)]
            taken = self.category_[cart[cart >= 0]]
            able = (lift > 0) & (self.best_ >= 0) & ~np.isin(self.category_, taken)
            leaves = np.flatnonzero(able)
            value = lift[leaves] + np.float32(self.popular) * self.share_[leaves]
            yield leaves[np.argsort(-value, kind="stable")[: self.lead]].astype(np.int32)


def _rank(size: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """int64: 0 for the largest."""
    out = np.empty(len(size), np.int64)
    out[np.argsort(-size, kind="stable")] = np.arange(len(size))
    return out


def _pairs_of_users(held: sparse.csr_matrix, owner: npt.NDArray[np.int64]) -> Iterator[sparse.csr_matrix]:
    """csr float32 (n_leaves, n_leaves), block by block: in how many users' baskets both were at once."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1, append=-1) != 0)
    n = held.shape[1]
    for at in range(0, len(starts) - 1, _USERS_AT_ONCE):
        keys = []
        for start, end in zip(starts[at:-1][:_USERS_AT_ONCE], starts[at + 1 :], strict=False):
            own = held[start:end]
            both = (own.T @ own).tocoo()
            keys.append(both.row.astype(np.int64) * n + both.col)
        pair, count = np.unique(np.concatenate(keys), return_counts=True)
        yield sparse.csr_matrix((count.astype(np.float32), (pair // n, pair % n)), shape=(n, n))


def _alike(
    names: Sequence[str],
    left: npt.NDArray[np.integer],
    right: npt.NDArray[np.integer],
    asked: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """bool (n,): pairs of leaf categories that share `_SUBSTITUTES` of their words; else, and where not
    `asked`, False."""
    words = [frozenset(re.findall(r"\w+", name.lower())) for name in names]
    out = np.zeros(len(left), bool)
    for at in np.flatnonzero(asked).tolist():
        a, b = words[left[at]], words[right[at]]
        out[at] = len(a & b) >= _SUBSTITUTES * max(len(a | b), 1)
    return out
