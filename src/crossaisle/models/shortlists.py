"""Shortlists: for each validation case, the best candidates of every part, and their scores.

Weights are chosen from shortlists: a list of ten hardly ever holds what no part puts among its best hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.batches import batches
from crossaisle.models.topk import top_k

K = 10
DEPTH = 100
"""Candidates of every part that are considered, best first."""
BATCH = 256
"""Cases whose scores are held at once, at most; see `batches`."""
DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))
"""float64 (K,): what a hit on each place counts in NDCG."""


@dataclass(frozen=True)
class TuningTask:
    """Cases with the candidates that a placement allows.

    `unseen`: not the items of the history. `other`: no category of the last item. `new`: no category
    of the history, or of the cart where users come with one.
    """

    cases: EvalCases
    unseen: bool = False
    other: bool = False
    new: bool = False
    finest: bool = False
    """Categories are those of the deepest level."""
    all_targets: bool = False
    """Right answers that are no candidates count, too, as missed: says what leaving candidates out costs."""
    apart: tuple[str, ...] = ()
    """Parts that are not asked: they get no weight."""
    worth: Floats | None = None
    """float32 (n_items,): what a hit on each item is worth; None: all the same. Inverse popularity makes
    it propensity-scored (Jain et al., KDD 2016): popular items stop winning by being popular."""

    def codes(self, taxonomy: Taxonomy) -> Rows:
        """int32 (n_items,): the categories that `other` and `new` go by."""
        return taxonomy.codes(-1) if self.finest else taxonomy.codes()


class CandidateRule(Protocol):
    """What a placement leaves out; see `TuningTask`."""

    @property
    def unseen(self) -> bool: ...
    @property
    def other(self) -> bool: ...
    @property
    def new(self) -> bool: ...


def allowed_candidates(
    question: CandidateRule, histories: Histories, codes: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """bool (n, n_items): the candidates of each history."""
    n, owner = len(histories), histories.owner
    allowed = np.ones((n, len(codes)), bool)
    if question.unseen:
        allowed[owner, histories.item] = False
    if question.other or question.new:
        banned = np.zeros((n, int(codes.max(initial=-1)) + 2), bool)  # last column: unknown category
        banned[:, -1] = True
        if question.new:
            near = histories.carts
            banned[near.owner, codes[near.item]] = True
        else:
            last = histories.last_item
            known = last >= 0
            banned[np.flatnonzero(known), codes[last[known]]] = True
        allowed &= ~banned[:, codes]
    return allowed


@dataclass(frozen=True, eq=False)
class Shortlists:
    """Some cases with an answer; a few MB, whatever the size of the shop."""

    case: npt.NDArray[np.int64]
    """int64 (m,): which cases of the task."""
    items: list[Rows]
    """Per case int32 (c,): the union of the parts' best candidates."""
    scores: list[Floats]
    """Per case float32 (parts, c)."""
    worth: list[Floats]
    """Per case float32 (c,): what a hit on each candidate is worth; 0: not right."""
    ideal: npt.NDArray[np.float64]
    """float64 (m, 2): the best sums of worth and of discounted worth that a list can have."""

    def __len__(self) -> int:
        return len(self.case)

    @classmethod
    def joined(cls, several: Sequence[Shortlists]) -> Shortlists:
        """One after the other."""
        return cls(
            np.concatenate([one.case for one in several]),
            [items for one in several for items in one.items],
            [scores for one in several for scores in one.scores],
            [worth for one in several for worth in one.worth],
            np.concatenate([one.ideal for one in several]),
        )

    def take(self, rows: npt.NDArray[np.integer]) -> Shortlists:
        """Some of them."""
        at = rows.tolist()
        return Shortlists(
            self.case[rows],
            [self.items[i] for i in at],
            [self.scores[i] for i in at],
            [self.worth[i] for i in at],
            self.ideal[rows],
        )

    def asking(self, targets: Sequence[Rows]) -> Shortlists:
        """The same with other right answers, one or more candidates per case, each of them worth 1."""
        worth = [
            np.isin(items, own).astype(np.float32) for items, own in zip(self.items, targets, strict=True)
        ]
        hits = np.minimum(np.array([len(own) for own in targets], np.int64), K)
        ideal = np.stack([hits, np.cumsum(DISCOUNT)[hits - 1]], axis=1).astype(np.float64)
        return replace(self, worth=worth, ideal=ideal)


def shortlisted(
    question: TuningTask,
    rows: npt.NDArray[np.integer],
    scores: Sequence[Floats],
    codes: npt.NDArray[np.int32],
    best: Sequence[Rows] | None = None,
) -> Shortlists:
    """The shortlists of those of some cases that can be answered.

    `scores`: of each part float32 (n, n_items) for them. `best`: what each part nominates, where known;
    without it, `scores` must hold no NaN.
    """
    batch = question.cases.take(rows)
    allowed, wanted = answers(question, batch, codes)
    asked = np.flatnonzero(wanted.any(axis=1) & (batch.histories.lengths > 0))
    worth = wanted[asked].astype(np.float32)
    if question.worth is not None:
        worth *= question.worth
    own, allowed = [part[asked] for part in scores], allowed[asked]
    best = [nominated(part, allowed) for part in own] if best is None else [part[asked] for part in best]
    chosen = np.zeros_like(allowed)
    for part in best:
        # -1, the last column, stands only where all candidates are chosen anyway.
        chosen[np.arange(len(asked))[:, None], part] = True
    chosen &= allowed
    items = [np.flatnonzero(row).astype(np.int32) for row in chosen]
    values = [np.nan_to_num(np.stack([part[i, at] for part in own])) for i, at in enumerate(items)]
    best_worth = np.take_along_axis(worth, top_k(worth, min(K, worth.shape[1])), axis=1).astype(np.float64)
    ideal = np.stack([best_worth.sum(axis=1), best_worth @ DISCOUNT[: best_worth.shape[1]]], axis=1)
    return Shortlists(
        np.asarray(rows)[asked], items, values, [worth[i, at] for i, at in enumerate(items)], ideal
    )


def answers(
    question: TuningTask, batch: EvalCases, codes: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """bool (n, n_items), twice: candidates, and right answers."""
    allowed = allowed_candidates(question, batch.histories, codes)
    wanted = np.zeros_like(allowed)
    wanted[np.repeat(np.arange(len(batch)), np.diff(batch.target_indptr)), batch.target] = True
    return allowed, wanted if question.all_targets else wanted & allowed


def answerable(question: TuningTask, taxonomy: Taxonomy) -> int:
    """How many of the cases have a history and a right answer among their candidates."""
    codes, cases, found = question.codes(taxonomy), question.cases, 0
    for rows in batches(len(cases), len(codes), BATCH):
        batch = cases.take(rows)
        _, wanted = answers(question, batch, codes)
        found += int((wanted.any(axis=1) & (batch.histories.lengths > 0)).sum())
    return found


def nominate(scores: Floats, question: TuningTask, taxonomy: Taxonomy) -> Rows:
    """int32 (n, `DEPTH` or fewer): the best candidates of a part for each case, to be used more than once."""
    codes, cases, out = question.codes(taxonomy), question.cases, []
    for rows in batches(len(cases), len(codes), BATCH):
        allowed = allowed_candidates(question, cases.take(rows).histories, codes)
        out.append(nominated(np.nan_to_num(scores[rows]), allowed))
    return np.concatenate(out)


def nominated(scores: Floats, allowed: npt.NDArray[np.bool_]) -> Rows:
    """int32 (n, `DEPTH` or fewer): the best candidates of a part; -1 where it has no more."""
    return top_k(np.where(allowed, scores, -np.inf), min(DEPTH, allowed.shape[1]))
