"""Weights of a blend, chosen on validation: one set per placement, each on the question it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.topk import top_k
from crossaisle.models.untuned import untuned_weights
from crossaisle.progress import bar

K = 10
DEPTH = 100
"""Candidates of every part that are considered, best first."""
MAX_CASES = 2500
GAIN = 2e-4
"""A change of weights has to gain this much on validation: less is noise."""
FACTORS = (0.0, 0.5, 0.7, 1.4, 2.0)
ADDED = (0.05, 0.2, 0.5, 1.0)
_BATCH = 256

_Block = tuple[list[Floats], list[Floats], list[tuple[float, float]]]
"""Per case: scores float32 (parts, candidates), what a hit on each of them is worth (0: not right), and the
best sums of worth and of discounted worth that a list can have."""


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
    all_targets: bool = False
    """Right answers that are no candidates count, too, as missed: says what leaving candidates out costs."""
    apart: tuple[str, ...] = ()
    """Parts that are not asked: they get no weight."""
    worth: Floats | None = None
    """float32 (n_items,): what a hit on each item is worth; None: all the same. Inverse popularity makes
    it propensity-scored (Jain et al., KDD 2016): popular items stop winning by being popular."""


@dataclass(frozen=True)
class Tuned:
    """Weights, and what they are worth on the cases they were chosen on."""

    weights: dict[str, float]
    quality: float
    """Mean of NDCG@10 and recall@10; NaN without a case."""

    @property
    def chosen(self) -> bool:
        """Whether cases chose the weights."""
        return not np.isnan(self.quality)


def tune(
    parts: Mapping[str, Scorer],
    questions: Mapping[str, TuningTask],
    taxonomy: Taxonomy,
    *,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Tuned]:
    """question -> weights by part, the best mean of NDCG@10 and recall@10 that coordinate ascent finds.

    All questions are about the same histories. Starts from the best single part; then one weight at a
    time is scaled, dropped or added as long as that gains more than `GAIN`. Weights refer to the parts'
    raw scores; without a single answerable case they are `untuned_weights`.
    """
    found = _gather(parts, questions, taxonomy, seed=seed, progress=progress)
    return {name: _tuned(list(parts), found[name], asked.apart) for name, asked in questions.items()}


def _tuned(names: list[str], found: _Found | None, apart: tuple[str, ...]) -> Tuned:
    if found is None:
        return Tuned(untuned_weights(name for name in names if name not in apart), float("nan"))
    asked = [at for at, name in enumerate(names) if name not in apart]
    weights, quality = _ascend(found, asked)
    raw = {name: float(w / s) for name, w, s in zip(names, weights, found.scale, strict=True) if w}
    top = max(abs(w) for w in raw.values())
    # Only proportions matter; the largest weight is 1, so that people can read them.
    return Tuned({name: w / top for name, w in raw.items()}, quality)


@dataclass(frozen=True)
class _Found:
    """Scores float32 (parts, cases, width) of the candidates, divided by `scale`; padding scores -inf."""

    scores: Floats
    padding: npt.NDArray[np.bool_]
    worth: Floats
    ideal: npt.NDArray[np.float64]
    """float64 (cases, 2): the best possible sums of worth, plain and discounted."""
    scale: Floats


def _gather(
    parts: Mapping[str, Scorer],
    questions: Mapping[str, TuningTask],
    taxonomy: Taxonomy,
    *,
    seed: int,
    progress: bool,
) -> dict[str, _Found | None]:
    """Candidates and their scores per question; None where no case can be answered."""
    cases, codes = next(iter(questions.values())).cases, taxonomy.codes()
    order = np.random.default_rng(seed).permutation(len(cases))[:MAX_CASES]
    blocks: dict[str, list[_Block]] = {name: [] for name in questions}
    with bar("choosing weights", len(order), show=progress) as advance:
        for start in range(0, len(order), _BATCH):
            batch = cases.take(order[start : start + _BATCH])
            scores = [np.nan_to_num(part.score_rows(batch.histories)) for part in parts.values()]
            for name, question in questions.items():
                if (block := _ask(question, batch, scores, codes)) is not None:
                    blocks[name].append(block)
            advance(len(batch))
    return {name: _stack(found, len(parts)) if found else None for name, found in blocks.items()}


def _ask(
    question: TuningTask,
    batch: EvalCases,
    scores: Sequence[Floats],
    codes: npt.NDArray[np.int32],
    best: Sequence[Rows] | None = None,
) -> _Block | None:
    """The shortlists of some cases, from the parts' scores, float32 (n, n_items). None: no answers.

    `best`: what each part nominates, where that is known.
    """
    allowed, wanted = _answers(question, batch, codes)
    asked = np.flatnonzero(wanted.any(axis=1) & (batch.histories.lengths > 0))
    if not len(asked):
        return None
    worth = wanted[asked].astype(np.float32)
    if question.worth is not None:
        worth *= question.worth
    own, allowed = [part[asked] for part in scores], allowed[asked]
    best = [_nominated(part, allowed) for part in own] if best is None else [rows[asked] for rows in best]
    return _shortlist(own, best, allowed, worth)


def _answers(
    question: TuningTask, batch: EvalCases, codes: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """bool (n, n_items), twice: candidates, and right answers."""
    allowed = allowed_candidates(question, batch.histories, codes)
    wanted = np.zeros_like(allowed)
    wanted[np.repeat(np.arange(len(batch)), np.diff(batch.target_indptr)), batch.target] = True
    return allowed, wanted if question.all_targets else wanted & allowed


def answerable(question: TuningTask, taxonomy: Taxonomy) -> int:
    """How many of the cases have a history and a right answer among their candidates."""
    codes, cases, found = taxonomy.codes(), question.cases, 0
    for start in range(0, len(cases), _BATCH):
        batch = cases.take(np.arange(start, min(start + _BATCH, len(cases))))
        _, wanted = _answers(question, batch, codes)
        found += int((wanted.any(axis=1) & (batch.histories.lengths > 0)).sum())
    return found


def nominate(scores: Floats, question: TuningTask, taxonomy: Taxonomy) -> Rows:
    """int32 (n, `DEPTH` or fewer): the best candidates of a part for each case, to be used more than once."""
    codes, cases, out = taxonomy.codes(), question.cases, []
    for start in range(0, len(cases), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(cases)))
        allowed = allowed_candidates(question, cases.take(rows).histories, codes)
        out.append(_nominated(np.nan_to_num(scores[rows]), allowed))
    return np.concatenate(out)


def tune_scored(
    scores: Mapping[str, Floats],
    question: TuningTask,
    taxonomy: Taxonomy,
    nominated: Mapping[str, Rows] | None = None,
) -> Tuned:
    """The same as `tune` for parts that have scored all cases: float32 (n, n_items) each, NaN: cannot.

    `nominated`: what `nominate` gave for each of them.
    """
    codes, cases = taxonomy.codes(), question.cases
    blocks = []
    for start in range(0, len(cases), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(cases)))
        some = [part[rows] for part in scores.values()]
        if nominated is None:
            block = _ask(question, cases.take(rows), [np.nan_to_num(part) for part in some], codes)
        else:
            best = [nominated[name][rows] for name in scores]
            block = _ask(question, cases.take(rows), some, codes, best)
        blocks += [] if block is None else [block]
    return _tuned(list(scores), _stack(blocks, len(scores)) if blocks else None, question.apart)


def values_of(
    scores: Mapping[str, Floats], weights: Mapping[str, float], question: TuningTask, taxonomy: Taxonomy
) -> Floats:
    """float32 (n,): the mean of NDCG@10 and recall@10 of each case under a sum of parts, over all candidates.

    NaN for cases that cannot be answered. `scores` as for `tune_scored`.
    """
    codes, cases = taxonomy.codes(), question.cases
    out = np.full(len(cases), np.nan, np.float32)
    used = {name: weight for name, weight in weights.items() if weight}
    for start in range(0, len(cases), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(cases)))
        allowed, wanted = _answers(question, cases.take(rows), codes)
        total, known = np.zeros(allowed.shape, np.float32), np.zeros(allowed.shape, bool)
        for name, weight in used.items():
            there = ~np.isnan(scores[name][rows])
            total += np.float32(weight) * np.where(there, scores[name][rows], 0.0)
            known |= there
        worth = wanted.astype(np.float32)
        if question.worth is not None:
            worth *= question.worth
        asked = wanted.any(axis=1) & (cases.histories.lengths[rows] > 0)
        found = top_k(np.where(allowed & known, total, -np.inf), min(K, allowed.shape[1]))
        hits = np.where(found >= 0, np.take_along_axis(worth, np.maximum(found, 0), axis=1), 0.0)
        best = np.take_along_axis(worth, top_k(worth, hits.shape[1]), axis=1)
        discount = _DISCOUNT[: hits.shape[1]]
        with np.errstate(invalid="ignore"):
            both = (hits.sum(axis=1) / best.sum(axis=1) + hits @ discount / (best @ discount)) / 2
        out[rows] = np.where(asked, both, np.nan)
    return out


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


def _nominated(scores: Floats, allowed: npt.NDArray[np.bool_]) -> Rows:
    """int32 (n, `DEPTH` or fewer): the best candidates of a part; -1 where it has no more."""
    return top_k(np.where(allowed, scores, -np.inf), min(DEPTH, allowed.shape[1]))


def _shortlist(
    scores: list[Floats], best: list[Rows], allowed: npt.NDArray[np.bool_], worth: Floats
) -> _Block:
    """Per case: the union of the parts' best candidates, their scores (parts, c) and their worth."""
    chosen = np.zeros_like(allowed)
    row = np.arange(len(allowed))[:, None]
    for rows in best:
        # -1, the last column, stands only where all candidates are chosen anyway.
        chosen[row, rows] = True
    chosen &= allowed
    columns = [np.flatnonzero(row) for row in chosen]
    values = [np.nan_to_num(np.stack([part[i, c] for part in scores])) for i, c in enumerate(columns)]
    best_worth = np.take_along_axis(worth, top_k(worth, min(K, worth.shape[1])), axis=1).astype(np.float64)
    ideal = np.stack([best_worth.sum(axis=1), best_worth @ _DISCOUNT[: best_worth.shape[1]]], axis=1)
    return values, [worth[i, c] for i, c in enumerate(columns)], [(a, b) for a, b in ideal.tolist()]


def _stack(blocks: list[_Block], n_parts: int) -> _Found:
    values = [v for block in blocks for v in block[0]]
    marks = [m for block in blocks for m in block[1]]
    width = max(max(v.shape[1] for v in values), K)
    scores = np.zeros((n_parts, len(values), width), np.float32)
    padding = np.ones((len(values), width), bool)
    worth = np.zeros((len(values), width), np.float32)
    for i, (value, mark) in enumerate(zip(values, marks, strict=True)):
        c = value.shape[1]
        scores[:, i, :c], padding[i, :c], worth[i, :c] = value, False, mark
    spread = np.array([part[~padding].std() for part in scores], np.float32)
    scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
    scores /= scale[:, None, None]
    ideal = np.array([t for block in blocks for t in block[2]])
    return _Found(scores, padding, worth, ideal, scale)


def _ascend(found: _Found, asked: list[int]) -> tuple[npt.NDArray[np.float64], float]:
    """float64 (parts,) weights, 0 for parts that are not `asked`; and their quality."""
    # A part that says the same of all candidates is right by the order they happen to stand in.
    single = [
        _quality(one, found) if at in asked and one.any() else -1.0 for at, one in enumerate(found.scores)
    ]
    weights = np.zeros(len(found.scores))
    weights[int(np.argmax(single))] = 1.0
    best, total = max(single), found.scores[int(np.argmax(single))].copy()
    improved = True
    while improved:
        improved = False
        for p in asked:
            others = np.count_nonzero(weights) - (weights[p] > 0)
            if weights[p] > 0:
                trials = [weights[p] * f for f in FACTORS if f > 0 or others]
            else:
                trials = [a * weights.max() for a in ADDED]
            quality = [_quality(total + np.float32(t - weights[p]) * found.scores[p], found) for t in trials]
            top = int(np.argmax(quality))
            if quality[top] > best + GAIN:
                total += np.float32(trials[top] - weights[p]) * found.scores[p]
                weights[p], best, improved = trials[top], quality[top], True
    return weights, best


_DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))


def _quality(scores: Floats, found: _Found) -> float:
    """Mean of NDCG@10 and recall@10."""
    masked = np.where(found.padding, -np.inf, scores)
    top = np.argpartition(masked, masked.shape[1] - K, axis=1)[:, -K:]
    order = np.argsort(-np.take_along_axis(masked, top, axis=1), axis=1, kind="stable")
    hits = np.take_along_axis(found.worth, np.take_along_axis(top, order, axis=1), axis=1)
    recall = hits.sum(axis=1) / found.ideal[:, 0]
    ndcg = hits @ _DISCOUNT / found.ideal[:, 1]
    return float((recall.mean() + ndcg.mean()) / 2)
