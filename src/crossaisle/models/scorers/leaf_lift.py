"""`LeafLift`: leaf categories that people reliably buy together, judged by how many people do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.artifact import pack
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.knowledge.naming import named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.models.base import Scorer
from crossaisle.models.space import Range, Space

_USERS_AT_ONCE = 250
"""Users whose pairs of leaf categories are counted at once."""
_SUBSTITUTES = 0.5
"""Leaf categories that share this much of their words are two shelves of one thing."""
_LEAVES = 20_000
"""Of at most this many leaf categories, those in the most baskets, pairs are looked at."""
_OF_CATEGORY = 1
"""At most this many leaf categories of one category lead."""
_SUREST = 0.95
"""Strengths of rules above this count as this."""
Index = npt.NDArray[np.int64]


@dataclass(kw_only=True)
class LeafLift(Scorer):
    """How surely an item's leaf category is bought in one basket with those of the cart.

    With n_cd the baskets that hold leaf categories c and d, of N, and m_cd the users they come from,

        lift(c, d)  = ln((n_cd + 1) N / (n_c n_d + N)) - z / sqrt(m_cd),  0 where that is below 0
        score(j)    = 1 / sqrt(|cart|) * sum over i in cart of lift(c(i), c(j))

    A household's baskets are no independent witnesses: one that buys cat food and batteries every week has
    one habit. So the bound goes by users (the standard error of the logarithm of a count is one over its
    root). Leaf categories that share half of the words of their names are substitutes and have no lift.

    What `rules` say goes together is a prior: a strength s stands for a lift of 1 / (1 - s), held as firmly
    as by `told` baskets that would hold both by chance (a gamma prior of the rate of a Poisson count). So
    with t of `told` and k = 1 / (1 - s),

        lift(c, d)  = ln((n_cd + t k) N / (n_c n_d + t N)) - z / sqrt(m_cd + t k)

    and a rule speaks where there are few baskets, the baskets where there are many. A line about a category
    is about what it mostly sells: for a leaf category d below it t counts by the sales of d beside those of
    the leaf category that sells best there. Fresh cranberries are berries, and nobody eats them with yogurt.

    With `lead` a score is given only to the best item of each of `lead` leaf categories, none of a category
    that the cart has, and 1 is added, so that a blend can put them first. They are chosen by their lift and
    by how well their best item sells, and stand in the order of their lifts: what sells well everywhere may
    be among them, and comes last.
    """

    rules: tuple[Rule, ...] = ()
    """Lines of a knowledge file: those of whole leaf categories, or of categories above them, count."""
    told: float = field(default=20.0, metadata={"low": 0.1, "high": 1e6})
    """Expected baskets that a line of `rules` weighs as much as."""
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
    rule_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr int32 (n_leaves, n_leaves): place of the rule, from 1, where it says more than the baskets do."""

    kind: ClassVar[str] = "leaf_lift"
    space: ClassVar[Space] = {"z": Range(low=0.5, high=4.0)}
    reason: ClassVar[str] = "goes into the same basket"
    learned: ClassVar[tuple[str, ...]] = ("lifts_", "leaf_", "sold_", "category_", "best_", "share_", "rule_")

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"rules": [asdict(rule) for rule in self.rules]}

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> Scorer:
        """Models that were saved before there were rules have none."""
        if not any(name.startswith("rule_") for name in arrays):
            none = sparse.csr_matrix((1, 1), dtype=np.int32)
            arrays = {**arrays, **pack({"rule_": none})}
        return super().restore(arrays, item_ids)

    def fit(self, dataset: Dataset) -> LeafLift:
        self.leaf_ = dataset.taxonomy.codes(-1).astype(np.int32)
        names = [path.split(SEPARATOR)[-1] for path in dataset.taxonomy.names(-1)]
        self.sold_ = (self.leaf_ >= 0) & (dataset.item_counts > 0)
        n_leaves, category = len(names), dataset.taxonomy.codes()
        self.category_ = np.full(n_leaves, -1, np.int32)
        known = np.flatnonzero(self.leaf_ >= 0)
        self.category_[self.leaf_[known]] = category[known]
        baskets, owner = self._baskets(dataset)
        told = _told(self.rules, dataset, self.leaf_, n_leaves)
        self.lifts_, self.rule_ = self._lifts(baskets, owner, n_leaves, names, told)
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
        own = (self.z, self.max_users, self.seed, self.told, self.rules)
        return own == (other.z, other.max_users, other.seed, other.told, other.rules)

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
        self,
        baskets: sparse.csr_matrix,
        owner: npt.NDArray[np.int64],
        n_leaves: int,
        names: Sequence[str],
        told: tuple[Index, Floats, Index, Floats],
    ) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """The lifts, and where a rule says more of them than the baskets do."""
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
        counted, known_by = both.tocoo(), users.data  # a pair of one user's baskets is in both
        key = counted.row.astype(np.int64) * n_leaves + counted.col
        every = np.union1d(key, told[0])
        at, said = np.searchsorted(every, key), np.searchsorted(every, told[0])
        count, witnesses = np.zeros(len(every)), np.zeros(len(every))
        count[at], witnesses[at] = counted.data, known_by
        weight, prior, place = np.ones(len(every)), np.ones(len(every)), np.zeros(len(every), np.int32)
        firm = self.told * told[3]
        weight[said], prior[said], place[said] = firm, firm * told[1], told[2]
        witnesses[said] += prior[said]
        row, column = every // n_leaves, every % n_leaves
        n = float(max(held.shape[0], 1))
        lift = np.log((count + prior) * n / (size[row] * size[column] + weight * n))
        lift -= self.z / np.sqrt(np.maximum(witnesses, 1.0))
        good = (lift > 0) & (row != column)
        good &= (place > 0) | ~_alike(names, row, column, good & (place == 0))
        lifts = sparse.csr_matrix((lift[good].astype(np.float32), (row[good], column[good])), both.shape)
        ruled = good & (place > 0) & (prior > count)
        return lifts, sparse.csr_matrix((place[ruled], (row[ruled], column[ruled])), both.shape)

    def rule_between(self, source: int, target: int) -> Rule | None:
        """The rule that says more than the baskets do about the leaf categories of two item rows."""
        left, right = int(self.leaf_[source]), int(self.leaf_[target])
        at = int(self.rule_[left, right]) if self.rules and min(left, right) >= 0 else 0
        return self.rules[at - 1] if at else None

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
            leaves = leaves[np.argsort(-value, kind="stable")]
            leaves = leaves[_nth_of(self.category_[leaves]) < _OF_CATEGORY][: self.lead]
            yield leaves.astype(np.int32)


def _nth_of(groups: npt.NDArray[np.int32]) -> Index:
    """int64 (n,): how many before each are of its group."""
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-2) != 0)
    out = np.empty(len(groups), np.int64)
    out[order] = np.arange(len(groups)) - np.repeat(first, np.diff(first, append=len(groups)))
    return out


def _told(
    rules: Sequence[Rule], dataset: Dataset, leaf: npt.NDArray[np.int32], n_leaves: int
) -> tuple[Index, Floats, Index, Floats]:
    """What goes together by `rules`: int64 source leaf * n_leaves + target leaf, ascending; the lift of the
    strongest line; its place, from 1; and how much of it holds for the target, 0 to 1: its sales beside those
    of the best-selling leaf category that the line names. A side counts for the leaf categories that it has
    all items of."""
    pairs = [rule for rule in rules if rule.kind == "goes with"]
    place = {rule: at for at, rule in enumerate(rules, 1)}
    size = np.bincount(leaf[leaf >= 0], minlength=n_leaves)
    sales = np.bincount(leaf[leaf >= 0], dataset.item_counts[leaf >= 0], n_leaves)
    whole: dict[str, Index] = {}

    def leaves_of(name: str, rows: Rows) -> Index:
        if name not in whole:
            of_rows = leaf[rows]
            count = np.bincount(of_rows[of_rows >= 0], minlength=n_leaves)
            whole[name] = np.flatnonzero((count == size) & (size > 0))
        return whole[name]

    keys, lifts, places = [np.empty(0, np.int64)], [np.empty(0)], [np.empty(0, np.int64)]
    shares = [np.empty(0)]
    for one in named(pairs, dataset)[0]:
        left, right = (
            leaves_of(one.rule.source, one.source),
            leaves_of(one.rule.target, one.target),
        )
        sides = [(left, right), (right, left)] if one.rule.direction == "both" else [(left, right)]
        for source, target in sides:
            keys.append((source[:, None] * n_leaves + target).ravel())
            lifts.append(np.full(len(keys[-1]), 1.0 / (1.0 - min(one.rule.strength, _SUREST))))
            places.append(np.full(len(keys[-1]), place[one.rule]))
            most = sales[target].max(initial=0.0)
            held = sales[target] / most if most > 0 else np.ones(len(target))
            shares.append(np.broadcast_to(held, (len(source), len(target))).ravel())
    key, lift, line = np.concatenate(keys), np.concatenate(lifts), np.concatenate(places)
    share = np.concatenate(shares)
    # Of several lines about a pair the one that weighs most.
    order = np.lexsort((line, -share * np.log(lift), key))
    order = order[np.diff(key[order], prepend=-1) != 0]
    order = order[share[order] > 0]
    return key[order], lift[order].astype(np.float32), line[order], share[order].astype(np.float32)


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
