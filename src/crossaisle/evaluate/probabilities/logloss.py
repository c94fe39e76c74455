"""Log-loss of the true items under a softmax over all candidates of the open list.

Scores of different models live on different scales, so each model gets one temperature T, chosen
on a sample of the cases, which are then left out of its value. The loss of a target is

    -ln( .99 softmax(score / T) + .01 / candidates )

in nats (a uniform guess costs ln(candidates)); the uniform hundredth keeps an item that a model
cannot score finite. A case with several targets has their mean; targets that are no candidates
are passed over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate.candidates import Candidates
from crossaisle.evaluate.scoring import Score, scored

SAMPLE, SAMPLE_SCORES = 512, 8 << 20
"""At most this many cases, and scores, choose the temperature: a large catalogue needs fewer cases."""
UNIFORM = 0.01
_STEPS = np.geomspace(1e-3, 10.0, 9)


class Sample:
    """The cases that choose temperatures, the same for all models."""

    def __init__(self, cases: EvalCases, candidates: Candidates) -> None:
        n = len(cases)
        size = min(SAMPLE, n // 2, max(32, SAMPLE_SCORES // max(candidates.n_items, 1)))
        self.rows = np.linspace(0, n - 1, size).astype(np.int64)
        self.histories = cases.histories.take(self.rows)
        self.allowed = candidates.allowed(self.histories)["open"]

    def scores(self, score: Score) -> Floats:
        """float32 (len(rows), n_items); a single case chooses nothing, and no model is asked."""
        if not len(self.rows):
            return np.empty((0, self.allowed.shape[1]), np.float32)
        return scored(score, self.histories, self.allowed.shape[1])


class TargetLoss:
    """Cross-entropy per case, with the temperature chosen when made."""

    def __init__(self, cases: EvalCases, sample: Sample, scores: Floats) -> None:
        """`scores` float32 (len(sample.rows), n_items): those of the sample."""
        self.cases, self.sample = cases, sample.rows
        self.temperature = self._choose(scores, sample.allowed)

    def _choose(self, scores: Floats, allowed: npt.NDArray[np.bool_]) -> float:
        if not len(self.sample):
            return 1.0
        scores = np.where(allowed, scores, -np.inf)
        finite = scores[np.isfinite(scores)]
        spread = float(finite.std()) if len(finite) else 0.0
        if not spread > 0:
            return 1.0

        def mean_loss(temperature: float) -> float:
            loss = self._losses(self.sample, scores, allowed, temperature)
            return float(np.nanmean(loss)) if np.isfinite(loss).any() else 0.0

        # A coarse grid in units of the spread, then a finer one around its best point.
        best = min(spread * _STEPS, key=mean_loss)
        ratio = _STEPS[1] / _STEPS[0]
        return float(min(best * np.geomspace(1 / ratio, ratio, 9), key=mean_loss))

    def __call__(self, start: int, scores: Floats, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """float64 (n,) of the cases from `start` on; `scores` has -inf where an item is no candidate."""
        rows = np.arange(start, start + len(scores))
        out = self._losses(rows, scores, allowed, self.temperature)
        out[is_in(rows, self.sample)] = np.nan
        return out

    def _losses(
        self,
        rows: npt.NDArray[np.int64],
        scores: Floats,
        allowed: npt.NDArray[np.bool_],
        temperature: float,
    ) -> npt.NDArray[np.float64]:
        indptr = self.cases.target_indptr
        lengths = indptr[rows + 1] - indptr[rows]
        owner = np.repeat(np.arange(len(rows)), lengths)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        target = self.cases.target[np.repeat(indptr[rows], lengths) + within]
        kept = allowed[owner, target]
        owner, target = owner[kept], target[kept]
        top = scores.max(axis=1, keepdims=True)
        share = np.exp((scores - np.where(np.isfinite(top), top, 0.0)) / np.float32(temperature))
        total = np.maximum(share.sum(axis=1, dtype=np.float64), 1e-300)
        uniform = UNIFORM / np.count_nonzero(allowed, axis=1)[owner]
        loss = -np.log((1 - UNIFORM) * share[owner, target] / total[owner] + uniform)
        targets = np.bincount(owner, minlength=len(rows))
        return np.bincount(owner, loss, len(rows)) / np.where(targets, targets, np.nan)
