"""What another policy would have earned, from the log of the one that served: IPS, SNIPS and DR.

A log line holds the reward, the probability (propensity) with which the served policy chose what it chose,
and the probability with which the other policy, the target, would have chosen the same. Lists are logged
place by place, each with the probability of its item in its place: the item-position model of Li et al.:
Offline evaluation of ranking policies with click models (KDD 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Column = npt.NDArray[np.float64]
FEWEST = 20
"""No interval where fewer users (rows, without clusters) earned something that the target would have chosen:
a normal one is too narrow, since the rewards that carry most weight are likely not to have come yet."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """One row per choice; all columns are float64 (n,). `ValueError` where they do not fit together."""

    reward: Column
    propensity: Column
    """Probability of the choice under the policy that served: above 0, at most 1."""
    target: Column
    """Probability of the same choice under the policy asked about."""
    predicted: Column | None = None
    """A model's reward for the choice; must not have seen the row's own reward. For `doubly_robust`."""
    expected: Column | None = None
    """The same model's reward under the target, averaged over its choices. For `doubly_robust`."""
    cluster: npt.NDArray[np.int64] | None = None
    """int64 (n,): rows of one user, which are not independent, share a number."""

    def __post_init__(self) -> None:
        n = len(self.reward)
        for name in ("propensity", "target", "predicted", "expected", "cluster"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ValueError(f"{name} has {len(column)} rows, reward has {n}")
        if n and not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("a propensity must lie above 0 and not above 1: what was served was possible")
        if n and not ((self.target >= 0) & (self.target <= 1)).all():
            raise ValueError("a target probability must lie between 0 and 1")


@dataclass(frozen=True)
class Estimate:
    """The mean reward per row under the target."""

    value: float
    low: float
    """95 % interval, normal, robust to clusters; infinite where fewer than `FEWEST` of them tell."""
    high: float
    n: int
    effective: float
    """Rows that an unweighted sample with the same spread of weights would have (Kish)."""


def ips(log: Log, *, clip: float | None = None) -> Estimate:
    """Inverse propensity scores (Horvitz & Thompson 1952): unbiased, and wide where weights are large.

    `clip`: the largest weight; less variance for some bias towards zero.
    """
    weight = _weights(log, clip)
    scores = weight * log.reward
    return _estimate(log, float(scores.mean()) if len(scores) else np.nan, scores, weight)


def snips(log: Log, *, clip: float | None = None) -> Estimate:
    """Self-normalised (Swaminathan & Joachims, NeurIPS 2015): divided by the weights' own mean.

    Biased by an amount that vanishes with n, bounded by the rewards, and nearly always closer than `ips`.
    """
    weight = _weights(log, clip)
    mean = float(weight.mean()) if len(weight) else 0.0
    if mean == 0.0:
        return Estimate(np.nan, -np.inf, np.inf, len(weight), 0.0)
    value = float((weight * log.reward).mean() / mean)
    # The delta method: how much each row moves the ratio.
    return _estimate(log, value, value + weight * (log.reward - value) / mean, weight)


def doubly_robust(log: Log, *, clip: float | None = None) -> Estimate:
    """A model of rewards, corrected by weighted residuals (Dudík, Langford, Li, ICML 2011).

    Unbiased if the propensities or the model are right; the better the model, the narrower.
    """
    if log.predicted is None or log.expected is None:
        raise ValueError("doubly_robust needs predicted and expected rewards")
    weight = _weights(log, clip)
    scores = log.expected + weight * (log.reward - log.predicted)
    return _estimate(log, float(scores.mean()) if len(scores) else np.nan, scores, weight)


ESTIMATORS = {"IPS": ips, "SNIPS": snips, "DR": doubly_robust}


def crossfitted(
    groups: Sequence[npt.NDArray[np.int64]],
    reward: Column,
    asked: Sequence[Sequence[npt.NDArray[np.int64]]],
    cluster: npt.NDArray[np.int64],
    *,
    folds: int = 5,
    shrink: float = 20.0,
) -> list[Column]:
    """Mean rewards of nested groups, coarse to fine, for a row from the other folds' rows only.

    `groups`: int64 (n,) per level (say place, then place and item). `asked`: for each answer, the same
    levels of what is asked about in each row. A group's mean is drawn to the coarser one's as by `shrink`
    more rows. Rows of one cluster lie in one fold. Gives one float64 (n,) per entry of `asked`.
    """
    fold = cluster % folds
    out = [np.zeros(len(reward)) for _ in asked]
    for one in range(folds):
        here, there = fold == one, fold != one
        overall = float(reward[there].mean()) if there.any() else 0.0
        tables: list[tuple[npt.NDArray[np.int64], Column]] = []
        estimate = np.full(int(there.sum()), overall)
        for level in groups:
            names, code = np.unique(level[there], return_inverse=True)
            total = np.bincount(code, reward[there], len(names))
            count = np.bincount(code, minlength=len(names))
            prior = np.bincount(code, estimate, len(names)) / np.maximum(count, 1)
            means = (total + shrink * prior) / (count + shrink)
            tables.append((names, means))
            estimate = means[code]
        for answer, levels in zip(out, asked, strict=True):
            found = np.full(int(here.sum()), overall)
            for (names, means), level in zip(tables, levels, strict=True):
                if len(names):
                    at = np.minimum(np.searchsorted(names, level[here]), len(names) - 1)
                    found = np.where(names[at] == level[here], means[at], found)
            answer[here] = found
    return out


def _weights(log: Log, clip: float | None) -> Column:
    weight: Column = log.target / log.propensity
    return weight if clip is None else np.minimum(weight, clip)


def _estimate(log: Log, value: float, scores: Column, weight: Column) -> Estimate:
    n = len(scores)
    effective = float(weight.sum() ** 2 / (weight**2).sum()) if n and weight.any() else 0.0
    if not n:
        return Estimate(value, -np.inf, np.inf, 0, 0.0)
    off, telling = scores - value, weight * np.abs(log.reward)
    if log.cluster is not None:
        _, code = np.unique(log.cluster, return_inverse=True)
        off, telling = (np.asarray(np.bincount(code, one), np.float64) for one in (off, telling))
    if np.count_nonzero(telling) < FEWEST:
        return Estimate(value, -np.inf, np.inf, n, effective)
    correction = len(off) / (len(off) - 1)
    half = float(np.sqrt(correction * (off**2).sum()) / n * stdtrit(len(off) - 1, 0.975))
    return Estimate(value, value - half, value + half, n, effective)
