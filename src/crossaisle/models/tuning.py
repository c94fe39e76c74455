"""Weights of a blend, chosen on validation: one set per placement, each for its own kind of target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.batches import batches
from crossaisle.models.shortlists import BATCH, DISCOUNT, K, Shortlists, TuningTask, answers, shortlisted
from crossaisle.models.topk import top_k
from crossaisle.models.untuned import untuned_weights
from crossaisle.progress import bar

MAX_CASES = 2500
THREADS = 2
GAIN = 2e-4
"""A change of weights has to gain this much on validation: less is noise."""
FACTORS = (0.0, 0.5, 0.7, 1.4, 2.0)
ADDED = (0.05, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Tuned:
    """Weights, and what they are worth on the cases they were chosen on."""

    weights: dict[str, float]
    quality: float
    """Mean of NDCG@10 and recall@10; NaN without a case."""
    shortlists: Shortlists | None = field(default=None, repr=False, compare=False)
    """What they were chosen from; None without a case."""

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
    cases = next(iter(questions.values())).cases
    codes = {name: question.codes(taxonomy) for name, question in questions.items()}
    order = drawn_cases(len(cases), seed)
    found: dict[str, list[Shortlists]] = {name: [] for name in questions}

    def asked(rows: npt.NDArray[np.int64]) -> list[Shortlists]:
        histories = cases.histories.take(rows)
        scores = [np.nan_to_num(part.score_rows(histories)) for part in parts.values()]
        return [shortlisted(q, rows, scores, codes[name]) for name, q in questions.items()]

    n_items = len(next(iter(codes.values())))
    some = [order[rows] for rows in batches(len(order), n_items, BATCH // THREADS)]
    with (
        bar("choosing weights", len(order), show=progress) as advance,
        ThreadPoolExecutor(THREADS) as pool,  # numpy and scipy release the lock
    ):
        for rows, lists in zip(some, pool.map(asked, some), strict=True):
            for name, shortlists in zip(questions, lists, strict=True):
                found[name].append(shortlists)
            advance(len(rows))
    return {
        name: tune_shortlists(list(parts), found[name], apart=question.apart, placement=name)
        for name, question in questions.items()
    }


def drawn_cases(n: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """int64 (`MAX_CASES` or fewer,): which of n cases weights are chosen on."""
    return np.random.default_rng(seed).permutation(n)[:MAX_CASES]


def tune_shortlists(
    names: Sequence[str],
    found: Sequence[Shortlists],
    *,
    apart: Sequence[str] = (),
    placement: str = "for_you",
) -> Tuned:
    """The same as `tune` for what was shortlisted before. `names`: of the parts, in the order of the scores.

    `placement`: whose `untuned_weights` are taken without a case.
    """
    asked = [at for at, name in enumerate(names) if name not in apart]
    if not sum(map(len, found)):
        return Tuned(untuned_weights((names[at] for at in asked), placement), float("nan"))
    shortlists = Shortlists.joined(found)
    stacked = _stack(shortlists, len(names))
    weights, quality = _ascend(stacked, asked)
    raw = {name: float(w / s) for name, w, s in zip(names, weights, stacked.scale, strict=True) if w}
    top = max(abs(w) for w in raw.values())
    # Only proportions matter; the largest weight is 1, so that people can read them.
    return Tuned({name: w / top for name, w in raw.items()}, quality, shortlists)


@dataclass(frozen=True)
class _Stacked:
    """Scores float32 (parts, cases, width) of the candidates, divided by `scale`; padding scores -inf."""

    scores: Floats
    padding: npt.NDArray[np.bool_]
    worth: Floats
    ideal: npt.NDArray[np.float64]
    """float64 (cases, 2): the best possible sums of worth, plain and discounted."""
    scale: Floats


def tune_scored(
    scores: Mapping[str, Floats],
    question: TuningTask,
    taxonomy: Taxonomy,
    nominated: Mapping[str, Rows] | None = None,
) -> Tuned:
    """The same as `tune` for parts that have scored all cases: float32 (n, n_items) each, NaN: cannot.

    `nominated`: what `nominate` gave for each of them.
    """
    codes, found = question.codes(taxonomy), []
    for rows in batches(len(question.cases), len(codes), BATCH):
        some = [part[rows] for part in scores.values()]
        if nominated is None:
            some, best = [np.nan_to_num(part) for part in some], None
        else:
            best = [nominated[name][rows] for name in scores]
        found.append(shortlisted(question, rows, some, codes, best))
    return tune_shortlists(list(scores), found, apart=question.apart)


def values_of(
    scores: Mapping[str, Floats], weights: Mapping[str, float], question: TuningTask, taxonomy: Taxonomy
) -> Floats:
    """float32 (n,): the mean of NDCG@10 and recall@10 of each case under a sum of parts, over all candidates.

    NaN for cases that cannot be answered. `scores` as for `tune_scored`.
    """
    codes, cases = question.codes(taxonomy), question.cases
    out = np.full(len(cases), np.nan, np.float32)
    used = {name: weight for name, weight in weights.items() if weight}
    for rows in batches(len(cases), len(codes), BATCH):
        allowed, wanted = answers(question, cases.take(rows), codes)
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
        discount = DISCOUNT[: hits.shape[1]]
        with np.errstate(invalid="ignore"):
            both = (hits.sum(axis=1) / best.sum(axis=1) + hits @ discount / (best @ discount)) / 2
        out[rows] = np.where(asked, both, np.nan)
    return out


def _stack(found: Shortlists, n_parts: int) -> _Stacked:
    width = max(max(map(len, found.items)), K)
    scores = np.zeros((n_parts, len(found), width), np.float32)
    padding = np.ones((len(found), width), bool)
    worth = np.zeros((len(found), width), np.float32)
    for i, (value, mark) in enumerate(zip(found.scores, found.worth, strict=True)):
        c = len(mark)
        scores[:, i, :c], padding[i, :c], worth[i, :c] = value, False, mark
    spread = np.array([part[~padding].std() for part in scores], np.float32)
    scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
    scores /= scale[:, None, None]
    return _Stacked(scores, padding, worth, found.ideal, scale)


def _ascend(found: _Stacked, asked: list[int]) -> tuple[npt.NDArray[np.float64], float]:
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


def _quality(scores: Floats, found: _Stacked) -> float:
    """Mean of NDCG@10 and recall@10."""
    masked = np.where(found.padding, -np.inf, scores)
    top = np.argpartition(masked, masked.shape[1] - K, axis=1)[:, -K:]
    order = np.argsort(-np.take_along_axis(masked, top, axis=1), axis=1, kind="stable")
    hits = np.take_along_axis(found.worth, np.take_along_axis(top, order, axis=1), axis=1)
    recall = hits.sum(axis=1) / found.ideal[:, 0]
    ndcg = hits @ DISCOUNT / found.ideal[:, 1]
    return float((recall.mean() + ndcg.mean()) / 2)
