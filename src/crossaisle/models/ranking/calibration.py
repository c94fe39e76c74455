"""Isotonic calibration: from a ranker's scores to the probability that an item is the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats

KNOTS = 200
"""Groups of equal size that are fitted: enough for a smooth curve, few enough to be saved as text."""


@dataclass(frozen=True)
class Isotonic:
    """A rising curve through `scores` and `chances` (both float64 (k,)), straight lines in between.

    Fitted by pooling adjacent violators (Zadrozny & Elkan, KDD 2002).
    """

    scores: npt.NDArray[np.float64]
    chances: npt.NDArray[np.float64]

    def __call__(self, scores: Floats) -> Floats:
        """float32 probabilities, 0 to 1."""
        return np.interp(scores, self.scores, self.chances).astype(np.float32)

    @classmethod
    def fit(
        cls, scores: Floats, right: npt.NDArray[np.bool_], weights: npt.NDArray[np.floating] | None = None
    ) -> Isotonic:
        """From scores (m,), whether each was right, and how many candidates each stands for.

        Right answers are rare and have high scores: groups get smaller towards the best score.
        """
        order = np.argsort(scores, kind="stable")
        x, y = np.asarray(scores, np.float64)[order], right[order].astype(np.float64)
        w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)[order]
        if not len(x):
            return cls(np.zeros(1), np.zeros(1))
        down = 1.0 - np.linspace(0.0, 1.0, KNOTS + 1)
        edges = np.unique(np.rint(len(x) * (1.0 - down**3)).astype(np.int64))
        mass = np.add.reduceat(w, edges[:-1])
        means = np.add.reduceat(y * w, edges[:-1]) / mass
        centres = np.add.reduceat(x * w, edges[:-1]) / mass
        return cls(centres, pooled(means, mass))


def pooled(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 (k,): the rising sequence nearest to `values` in weighted squares."""
    level: list[list[float]] = []  # [mean, weight, length]
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        level.append([value, weight, 1])
        while len(level) > 1 and level[-2][0] > level[-1][0]:
            value, weight, length = level.pop()
            before = level[-1]
            total = before[1] + weight
            before[0] = (before[0] * before[1] + value * weight) / total
            before[1], before[2] = total, before[2] + length
    return np.repeat([one[0] for one in level], [int(one[2]) for one in level])
