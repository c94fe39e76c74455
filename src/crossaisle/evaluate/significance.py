"""Paired bootstrap over cases, and Holm's correction for many comparisons.

The same seed draws the same cases for every model, so that a difference is paired. A resample is a
vector of multinomial weights; all means of all resamples are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from crossaisle.data.history import Floats

Means = npt.NDArray[np.float64]
_BLOCK = 16 << 20


@dataclass(frozen=True)
class Interval:
    """Estimates and their 95 % percentile intervals, one entry per column."""

    value: Means
    low: Means
    high: Means

    def of(self, column: int) -> tuple[float, float, float]:
        """Estimate, low and high end of one column."""
        return float(self.value[column]), float(self.low[column]), float(self.high[column])


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Resamples of `n` cases (Efron & Tibshirani 1993; Sakai, SIGIR 2006 for paired use)."""

    n: int
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95
    block: int = 16 << 20
    """Weights of cases that are drawn at a time, as float32."""

    def means(self, values: Floats) -> Means:
        """float64 (resamples, c) from per-case values (n, c); NaN = the case is not in that column.

        A column that a resample misses altogether is NaN there.
        """
        groups = _by_pattern(values)
        out = np.full((self.resamples, values.shape[1]), np.nan)
        rng = np.random.default_rng(self.seed)
        step = max(1, self.block // max(self.n, 1))
        for start in range(0, self.resamples, step):
            size = min(step, self.resamples - start)
            weights = np.empty((size, self.n), np.float32)
            for row in weights:
                row[:] = np.bincount(rng.integers(0, self.n, self.n), minlength=self.n)
            for cases, columns, dense in groups:
                drawn = weights if len(cases) == self.n else weights[:, cases]
                count = drawn.sum(axis=1, dtype=np.float64)[:, None]
                out[start : start + size, columns] = (drawn @ dense) / np.where(count > 0, count, np.nan)
        return out

    def interval(self, values: Floats) -> Interval:
        """Mean of each column of (n, c), with its interval."""
        return self._interval(_mean(values), self.means(values))

    def difference(self, a: Floats, b: Floats) -> tuple[Interval, Means]:
        """Mean of a - b per column with its interval, and a two-sided p-value.

        The p-value is normal, with the standard error of the bootstrap: unlike a count of
        resamples it is not bounded by their number, which many comparisons would need to be.
        """
        gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        drawn = self.means(gap.astype(np.float32))
        value, error = _mean(gap), np.nanstd(drawn, axis=0)
        flat = error <= 1e-12
        z = np.where(flat, 0.0, np.abs(value) / np.where(flat, 1.0, error))
        p = np.where(flat, np.where(np.abs(value) > 1e-12, 0.0, 1.0), 2 * ndtr(-z))
        return self._interval(value, drawn), p

    def ratio(self, a: Floats, b: Floats) -> Interval:
        """Mean of a over mean of b per column, resampled together; NaN where b is 0."""
        top, bottom = self.means(a), self.means(b)
        over = _mean(b)
        value = _mean(a) / np.where(over == 0, np.nan, over)
        return self._interval(value, top / np.where(bottom == 0, np.nan, bottom))

    def _interval(self, value: Means, drawn: Means) -> Interval:
        tail = (1 - self.level) / 2
        low, high = np.full(len(value), np.nan), np.full(len(value), np.nan)
        some = ~np.isnan(drawn).all(axis=0)
        if some.any():
            low[some], high[some] = np.nanquantile(drawn[:, some], [tail, 1 - tail], axis=0)
        return Interval(value, low, high)


def _by_pattern(
    values: Floats,
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]]:
    """Columns grouped by which cases they hold: (cases, columns, dense values)."""
    there = ~np.isnan(values)
    columns: dict[bytes, list[int]] = {}
    for column in range(values.shape[1]):
        columns.setdefault(np.packbits(there[:, column]).tobytes(), []).append(column)
    groups = []
    for members in columns.values():
        cases = np.flatnonzero(there[:, members[0]])
        if len(cases):
            dense = values[cases][:, members].astype(np.float32)
            groups.append((cases, np.array(members), dense))
    return groups


def _mean(values: npt.NDArray[np.floating]) -> Means:
    there = ~np.isnan(values)
    size = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(size > 0, total / np.maximum(size, 1), np.nan)


def holm(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """p-values adjusted for the number of comparisons (Holm, 1979); NaN stays NaN and is not counted."""
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1.0)
    return out
