"""Intervals that hold at all times at once, so that an experiment may be checked as often as one likes.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic confidence
sequences (Annals of Statistics 2024). An interval for one fixed number of cases is wrong in two fifths of all
experiments of 5,000 users if one looks again and again and stops at the first success.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
TUNED_FOR = 1000
"""The intervals are tightest around this many cases; they hold for any."""
FIRST = 30
"""No interval before this many cases: the theory is of large numbers."""
RARE = 20
"""Nor before so many of them, on each side of a difference, that are not like most (of 0 and 1: the rarer).
Without this rule, experiments with 5,000 users, a tenth of them in one arm, and 5 conversions in 100 find a
difference where there is none in a third of all cases."""


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it, at one moment of a confidence sequence."""

    value: float
    low: float
    """-inf while there are too few cases."""
    high: float
    n: int

    @property
    def decided(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def confidence_sequence(
    values: npt.ArrayLike,
    *,
    level: float = 0.95,
    tuned_for: int = TUNED_FOR,
    enough: Mask | None = None,
) -> tuple[Column, Column, Column]:
    """Running means of cases in the order in which they came, and their intervals: three float64 (n,).

    With probability `level` (asymptotically) all intervals from some number of cases on hold the mean.
    They are infinite up to there: where `enough`, bool (n,), is not true, by default `seen_enough(values)`.
    """
    x = np.asarray(values, np.float64)
    n = np.arange(1, len(x) + 1, dtype=np.float64)
    mean = np.cumsum(x) / n
    variance = np.maximum(np.cumsum(x * x) / n - mean**2, 0.0)
    alpha = 1.0 - level
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / tuned_for
    scaled = n * rho2 + 1.0
    half = np.sqrt(variance) * np.sqrt(2 * scaled / (n * n * rho2) * np.log(np.sqrt(scaled) / alpha))
    # A sample without any spread says nothing about the spread there is.
    half[~(seen_enough(x) if enough is None else enough) | (variance <= 0)] = np.inf
    return mean, mean - half, mean + half


def seen_enough(values: npt.ArrayLike, treated: npt.ArrayLike | None = None) -> Mask:
    """bool (n,): whether there were `FIRST` cases up to each one, and `RARE` of them unlike most.

    With `treated`, bool (n,), on each side."""
    x = np.asarray(values, np.float64)
    if treated is not None:
        side = np.asarray(treated, bool)
        return _enough(x, side) & _enough(x, ~side)
    return _enough(x, np.ones(len(x), bool))


def _enough(x: Column, side: Mask) -> Mask:
    kinds, counts = np.unique(x[side], return_counts=True)
    most = kinds[np.argmax(counts)] if len(kinds) else np.nan
    return (np.cumsum(side) >= FIRST) & (np.cumsum(side & (x != most)) >= RARE)


def difference(treated: npt.ArrayLike, outcome: npt.ArrayLike, share: float) -> Interval:
    """The effect of a treatment given at random, with the interval after the last case; see
    `difference_scores`."""
    return at_last(difference_scores(treated, outcome, share), enough=seen_enough(outcome, treated))


def at_last(
    values: npt.ArrayLike,
    *,
    level: float = 0.95,
    tuned_for: int = TUNED_FOR,
    enough: Mask | None = None,
) -> Interval:
    """The interval after the last case."""
    mean, low, high = confidence_sequence(values, level=level, tuned_for=tuned_for, enough=enough)
    if not len(mean):
        return Interval(float("nan"), -np.inf, np.inf, 0)
    return Interval(float(mean[-1]), float(low[-1]), float(high[-1]), len(mean))


def difference_scores(treated: npt.ArrayLike, outcome: npt.ArrayLike, share: float) -> Column:
    """float64 (n,): one score per case whose mean is the effect of a treatment given at random.

    `treated`: bool (n,), in the order in which cases came. `share`: the probability of treatment. The mean
    of each side among the cases before takes variance away and, being known before the case, no bias in
    (augmented inverse propensities; section 3 of the paper above).
    """
    t, y = np.asarray(treated, bool), np.asarray(outcome, np.float64)
    expected = [_mean_before(y, side) for side in (~t, t)]
    on_the_treated = expected[1] + np.where(t, (y - expected[1]) / share, 0.0)
    on_the_others = expected[0] + np.where(t, 0.0, (y - expected[0]) / (1.0 - share))
    scores: Column = on_the_treated - on_the_others
    return scores


def _mean_before(y: Column, side: npt.NDArray[np.bool_]) -> Column:
    """Mean of the cases of one side before each case, drawn towards zero where there are few."""
    total = np.concatenate([[0.0], np.cumsum(np.where(side, y, 0.0))[:-1]])
    count = np.concatenate([[0.0], np.cumsum(side)[:-1]])
    mean: Column = total / (count + 1.0)
    return mean
