"""`Knowledge`: what a knowledge file says goes with the items of a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.knowledge.naming import Named, named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.topk import Mask

SUREST = 0.95
"""Strengths above this count as this: nothing is infinitely likelier beside something else."""


@dataclass(kw_only=True)
class Knowledge(Scorer):
    """The logarithm of how much likelier people say an item is beside those of the history.

    `score(j) = 1 / sqrt(n) * sum over the n items i of max over rules of -ln(1 - strength(i, j))`, plus the
    same for a staple j. So a strength s stands for a lift of 1 / (1 - s), and the score adds up with other
    logarithms of lifts as in naive Bayes. Where several lines hold for a pair, the strongest counts. All
    items of a category score the same: other parts rank within it, and popularity decides which of them are
    retrieved in a large shop. `never with` gives no score; it is a filter of lists.
    """

    rules: tuple[Rule, ...] = ()
    """The lines of the file."""
    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""

    source_: Rows = field(init=False, repr=False, compare=False)
    """int32 (n_items,): items of one group stand on the left of the same rules."""
    target_: Rows = field(init=False, repr=False, compare=False)
    """int32 (n_items,): items of one group stand on the right of the same rules."""
    lifts_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (source groups, target groups): -ln(1 - strength)."""
    rule_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr int32 (source groups, target groups): place of the rule that counts, from 1."""
    staples_: Floats = field(init=False, repr=False, compare=False)
    """float32 (target groups,): -ln(1 - strength) of staples, 0 for others."""
    popularity_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): events."""

    kind: ClassVar[str] = "knowledge"
    reason: ClassVar[str] = "known to go together"
    rest_reason: ClassVar[str | None] = "staple"
    learned: ClassVar[tuple[str, ...]] = (
        "source_",
        "target_",
        "lifts_",
        "rule_",
        "staples_",
        "popularity_",
    )

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"rules": [asdict(rule) for rule in self.rules]}

    def fit(self, dataset: Dataset) -> Knowledge:
        place = {rule: at for at, rule in enumerate(self.rules, 1)}
        found, _ = named(self.rules, dataset)
        pairs = [
            (place[one.rule], lift_of(one.rule.strength), source, target)
            for one in found
            if one.rule.kind == "goes with"
            for source, target in _directions(one)
        ]
        staples = [one for one in found if one.rule.kind == "staple"]
        self.source_ = _groups(dataset.n_items, [source for _, _, source, _ in pairs])
        self.target_ = _groups(
            dataset.n_items, [*(target for *_, target in pairs), *(one.source for one in staples)]
        )
        shape = int(self.source_.max(initial=0)) + 1, int(self.target_.max(initial=0)) + 1
        self.lifts_, self.rule_ = _strongest(pairs, self.source_, self.target_, shape)
        self.staples_ = np.zeros(shape[1], np.float32)
        for one in staples:
            at = np.unique(self.target_[one.source])
            self.staples_[at] = np.maximum(self.staples_[at], lift_of(one.rule.strength))
        self.popularity_ = dataset.item_counts.astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items): 0 where no rule holds; NaN for a history of which no rule speaks."""
        scores: Floats = self._by_group(histories)[:, self.target_]
        return scores

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        groups = self._by_group(histories)
        return [one[self.target_[at]] for one, at in zip(groups, rows, strict=True)]

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        """Of equal scores, the popular items."""
        order, ends = self._by_popularity
        out = []
        for scores in np.nan_to_num(self._by_group(histories)):
            rows: list[Rows] = [np.empty(0, np.int32)]
            room = k
            for group in np.argsort(-scores, kind="stable").tolist():
                if room <= 0 or scores[group] <= 0:
                    break
                members = order[ends[group] : ends[group + 1]]
                rows.append((members if among is None else members[among[members]])[:room])
                room -= len(rows[-1])
            out.append(np.sort(np.concatenate(rows)))
        return out

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its weight times what its own rule says; a staple's share is the rest."""
        self.check_fitted()
        group = int(self.target_[item])
        lifts = self.lifts_[:, [group]].toarray().ravel()
        events = (self._event_weights(histories) * lifts[self.source_[histories.item]]).astype(np.float32)
        spoken = not np.isnan(self._by_group(histories)[0, group])
        return events, float(self.staples_[group]) if spoken else 0.0

    def rule_between(self, source: int, target: int) -> Rule | None:
        """The rule that counts for two item rows."""
        at = int(self.rule_[int(self.source_[source]), int(self.target_[target])])
        return self.rules[at - 1] if at else None

    def _by_group(self, histories: Histories) -> Floats:
        """float32 (n, target groups)"""
        self.check_fitted()
        weights = self._event_weights(histories)
        found = ((histories.matrix(weights, len(self.source_)) @ self._members) @ self.lifts_).toarray()
        silent = (histories.lengths == 0) | ~(found.any(axis=1) | bool(self.staples_.any()))
        found += self.staples_
        found[silent] = np.nan
        return np.asarray(found, np.float32)

    def _event_weights(self, histories: Histories) -> Floats:
        """float32 (nnz,): decayed; n equally old events count 1 / sqrt(n) each."""
        weights = self.decay.weights(histories)
        total = np.bincount(histories.owner, weights, len(histories))
        return (weights / np.sqrt(np.maximum(total, 1e-12))[histories.owner]).astype(np.float32)

    @cached_property
    def _members(self) -> sparse.csr_matrix:
        """csr (n_items, source groups): 1 where an item is in a group."""
        n = len(self.source_)
        one = np.ones(n, np.float32)
        return sparse.csr_matrix((one, self.source_, np.arange(n + 1)), shape=(n, self.lifts_.shape[0]))

    @cached_property
    def _by_popularity(self) -> tuple[Rows, npt.NDArray[np.int64]]:
        """int32 (n_items,): rows by target group, popular ones first; and where each group starts."""
        order = np.lexsort((np.arange(len(self.target_)), -self.popularity_, self.target_)).astype(np.int32)
        ends = np.searchsorted(self.target_[order], np.arange(self.lifts_.shape[1] + 1))
        return order, ends.astype(np.int64)


def lift_of(strength: float) -> float:
    """The logarithm of the lift that a strength stands for."""
    return float(-np.log1p(-min(strength, SUREST)))


def _directions(one: Named) -> list[tuple[Rows, Rows]]:
    both = [(one.source, one.target), (one.target, one.source)]
    return both if one.rule.direction == "both" else both[:1]


def _groups(n_items: int, sides: Sequence[Rows]) -> Rows:
    """int32 (n_items,): items that are in the same sides share a number; 0: in none of them."""
    keys = np.random.default_rng(0).integers(1, 2**63, len(sides), dtype=np.uint64)
    mark = np.zeros(n_items, np.uint64)  # Zobrist hashing: one key per side, combined with xor
    for key, side in zip(keys, sides, strict=True):
        mark[side] ^= key
    return np.unique(np.append(mark, np.uint64(0)), return_inverse=True)[1][:-1].astype(np.int32)


def _strongest(
    pairs: Sequence[tuple[int, float, Rows, Rows]], source: Rows, target: Rows, shape: tuple[int, int]
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """The largest lift of each pair of groups, and the place of its rule; the first one among equals."""
    row, column, value, place = (
        [np.empty(0, np.int64)],
        [np.empty(0, np.int64)],
        [np.empty(0)],
        [np.empty(0, np.int64)],
    )
    for at, lift, left, right in pairs:
        groups = np.unique(source[left]).astype(np.int64), np.unique(target[right]).astype(np.int64)
        n = len(groups[0]) * len(groups[1])
        row.append(np.repeat(groups[0], len(groups[1])))
        column.append(np.tile(groups[1], len(groups[0])))
        value.append(np.full(n, lift))
        place.append(np.full(n, at))
    rows, columns = np.concatenate(row), np.concatenate(column)
    values, places = np.concatenate(value), np.concatenate(place)
    order = np.lexsort((places, -values, columns, rows))
    rows, columns, values, places = rows[order], columns[order], values[order], places[order]
    first = (np.diff(rows, prepend=-1) != 0) | (np.diff(columns, prepend=-1) != 0)
    where = rows[first], columns[first]
    lifts = sparse.csr_matrix((values[first].astype(np.float32), where), shape=shape)
    return lifts, sparse.csr_matrix((places[first].astype(np.int32), where), shape=shape)
