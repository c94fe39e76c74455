"""Paired bootstrap over cases, and Holm's correction for many comparisons.

The same seed draws the same cases for every model, so that a difference is paired. A resample is a
vector of multinomial weights; all means of all resamples are one matrix product.

Few cases, or few hits, need more care than the percentiles of these means: of ten cases none of which is
hit each resample has a mean of 0. Shares (metrics from 0 to 1) have Gaffke's bounds, which for hits and
misses are those of Clopper and Pearson, and what can have any value gets percentiles as far apart as
Student's t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

from crossaisle.data.history import Floats

Means = npt.NDArray[np.float64]
Weigh = Callable[[np.random.Generator, int], Floats]
"""float32 (so many, n): weights of the cases."""


@dataclass(frozen=True)
class Interval:
    """Estimates and their 95 % intervals, one entry per column; NaN where a single case says nothing."""

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
    cluster: npt.NDArray[np.int64] | None = field(default=None, compare=False)
    """int64 (n,), 0 to the number of clusters - 1: cases of one user are drawn together. None: each alone."""

    def means(self, values: Floats) -> Means:
        """float64 (resamples, c) from per-case values (n, c); NaN = the case is not in that column.

        A column that a resample misses altogether is NaN there.
        """
        total, count = self._resampled(values, self._multinomial)
        return total / np.where(count > 0, count, np.nan)

    def _resampled(self, values: Floats, weigh: Weigh) -> tuple[Means, Means]:
        """Sums of the values and of the weights, each float64 (resamples, c)."""
        groups = _by_pattern(values)
        total, count = np.zeros((2, self.resamples, values.shape[1]))
        rng = np.random.default_rng(self.seed)
        step = max(1, self.block // max(self.n, 1))
        for start in range(0, self.resamples, step):
            size = min(step, self.resamples - start)
            weights = weigh(rng, size)
            if self.cluster is not None:
                weights = weights[:, self.cluster]
            for cases, columns, dense in groups:
                drawn = weights if len(cases) == self.n else weights[:, cases]
                total[start : start + size, columns] = drawn @ dense
                count[start : start + size, columns] = drawn.sum(axis=1, dtype=np.float64)[:, None]
        return total, count

    def _multinomial(self, rng: np.random.Generator, size: int) -> Floats:
        n = self._drawn
        weights = np.empty((size, n), np.float32)
        for row in weights:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        return weights

    def _exponential(self, rng: np.random.Generator, size: int) -> Floats:
        return rng.standard_exponential((size, self._drawn), dtype=np.float32)

    @property
    def _drawn(self) -> int:
        """What is drawn: cases, or clusters."""
        return self.n if self.cluster is None else int(self.cluster.max(initial=-1)) + 1

    def _size(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """int64 (c,): cases of each column, or clusters."""
        there = ~np.isnan(values)
        if self.cluster is None:
            return np.asarray(there.sum(axis=0))
        columns = [np.count_nonzero(np.bincount(self.cluster[column])) for column in there.T]
        return np.array(columns, np.int64)

    def _cases_each(self, values: Floats) -> npt.NDArray[np.float64]:
        """float64 (c,): cases of each column for one that is drawn, more than 1 of clusters."""
        return np.asarray((~np.isnan(values)).sum(axis=0) / np.maximum(self._size(values), 1))

    def interval(self, values: Floats) -> Interval:
        """Mean of each column of (n, c), with its interval.

        Columns with values from 0 to 1 only are taken for shares: their ends are quantiles of the means of
        the cases and one more of 0, and of the cases and one more of 1, under weights of the Bayesian
        bootstrap (Gaffke, Mathematical Methods of Statistics 2005; Phan et al., ICML 2021). They hold the
        truth in 95 % of all samples or more, however few the cases.
        """
        value, (least, most) = _mean(values), _range(values)
        shares = np.flatnonzero((least >= 0.0) & (most <= 1.0))
        others = np.setdiff1d(np.arange(values.shape[1]), shares)
        low, high = np.full((2, values.shape[1]), np.nan)
        if len(others):
            rest = self._interval(values[:, others], value[others], self.means(values[:, others]))
            low[others], high[others] = rest.low, rest.high
        if len(shares) and self.resamples:
            total, count = self._resampled(values[:, shares], self._exponential)
            one = np.random.default_rng([self.seed, 1]).standard_exponential((self.resamples, 1))
            one = one * self._cases_each(values[:, shares])
            tail = (1 - self.level) / 2
            low[shares] = np.quantile(total / (count + one), tail, axis=0)
            high[shares] = np.quantile(np.minimum((total + one) / (count + one), 1.0), 1 - tail, axis=0)
        return Interval(value, low, high)

    def difference(self, a: Floats, b: Floats) -> tuple[Interval, Means]:
        """Mean of a - b per column with its interval, and a two-sided p-value.

        The p-value is Student's, with the standard error of the bootstrap: unlike a count of resamples it is
        not bounded by their number, which many comparisons would need to be. It is at least that of m signs
        alike, 2 ** (1 - m), where m cases differ.
        """
        gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        drawn = self.means(gap.astype(np.float32))
        value, size = _mean(gap), self._size(gap)
        error = np.nanstd(drawn, axis=0) * np.sqrt(size / np.maximum(size - 1, 1))
        differ = (np.abs(gap) > 1e-12).sum(axis=0)
        t = np.abs(value) / np.maximum(error, 1e-12)
        student = np.where(size > 1, 2 * stdtr(np.maximum(size - 1, 1), -t), 1.0)
        p = np.where(size > 0, np.clip(student, np.minimum(2.0 ** (1 - differ), 1.0), 1.0), np.nan)
        return self._interval(gap, value, drawn), p

    def ratio(self, a: Floats, b: Floats) -> Interval:
        """Mean of a over mean of b per column, resampled together; NaN where b is 0."""
        top, bottom = self.means(a), self.means(b)
        over = _mean(b)
        value = _mean(a) / np.where(over == 0, np.nan, over)
        return self._interval(a, value, top / np.where(bottom == 0, np.nan, bottom))

    def _interval(self, values: npt.NDArray[np.floating], value: Means, drawn: Means) -> Interval:
        """Percentiles, further apart for fewer cases: a resample varies less than a sample, and its spread is
        only estimated (Hesterberg, The American Statistician 2015)."""
        size = self._size(values)
        low, high = np.full((2, len(value)), np.nan)
        some = (size > 1) & ~np.isnan(drawn).all(axis=0)
        for n in np.unique(size[some]):
            of_n = some & (size == n)
            tail = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - self.level) / 2))
            low[of_n], high[of_n] = np.nanquantile(drawn[:, of_n], [tail, 1 - tail], axis=0)
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


def _range(values: Floats) -> tuple[Means, Means]:
    """Least and largest value of each column, NaN where it has none."""
    some = ~np.isnan(values).all(axis=0)
    least, most = np.full((2, values.shape[1]), np.nan)
    least[some], most[some] = np.nanmin(values[:, some], axis=0), np.nanmax(values[:, some], axis=0)
    return least, most


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
