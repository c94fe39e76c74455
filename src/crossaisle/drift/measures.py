"""Distances between two samples, their expected values under chance, and significance tests.

Events of one user are correlated, so n events are worth fewer than n independent ones. The design effect over
users gives the effective number, n_eff = n / effect, with Satterthwaite's correction for unequal effects (Rao
& Scott, J. Am. Stat. Assoc. 1981). All tests and chance levels here take effective numbers; with an effect of
1 they are the standard ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

MODERATE, DRIFT = 0.1, 0.25
"""Thresholds of the population stability index (Siddiqi, Credit Risk Scorecards, 2006)."""
LEAST_EXPECTED = 5.0
"""Bins with a smaller expected count are pooled before a chi-square test."""
PERMUTATIONS = 499

Counts = npt.NDArray[np.integer]
Values = npt.NDArray[np.float64]


def psi(expected: Counts, found: Counts) -> float:
    """Population stability index of two count vectors (bins,): sum((q - p) ln(q / p)), with 1/2 added to each
    count."""
    p, q = ((c + 0.5) / (c.sum() + 0.5 * len(c)) for c in (expected, found))
    return float(((q - p) * np.log(q / p)).sum())


def chance(bins: int, n: float, m: float) -> float:
    """Expected index of two samples from the same distribution: (bins - 1)(1/n + 1/m).

    Yurdakul & Naranjo, J. Risk Model Validation 2020.
    """
    return float((bins - 1) * (1.0 / max(n, 1.0) + 1.0 / max(m, 1.0)))


def verdict(value: float) -> str:
    """'stable', 'moderate' or 'drift'."""
    return "stable" if value < MODERATE else "moderate" if value < DRIFT else "drift"


class Design(NamedTuple):
    """How much the variance of shares is inflated because events of one user are correlated."""

    effect: float = 1.0
    """Mean over all directions, at least 1: n events count as n / effect."""
    spread: float = 0.0
    """Squared coefficient of variation of the effect over directions; high if some bins depend on few
    users."""


def design_of(table: sparse.csr_matrix) -> Design:
    """`table` csr (users, bins): each user's number of events per bin.

    Computed from the eigenvalues of the between-user covariance of the shares (ratio estimator) relative to
    the multinomial covariance: their mean, and their squared coefficient of variation.
    """
    users = table.shape[0]
    total = np.asarray(table.sum(axis=0), np.float64).ravel()
    used = np.flatnonzero(total > 0)
    if users < 2 or len(used) < 2:
        return Design()
    table, total = table[:, used], total[used]
    n, bins = float(total.sum()), len(used)
    share = total / n
    each = np.asarray(table.sum(axis=1), np.float64).ravel()
    # sum over users of (n_uj - p_j n_u)(n_uk - p_k n_u), without making the matrix dense
    cross = np.outer(np.asarray(table.T @ each, np.float64).ravel(), share)
    spread = (table.T @ table).toarray() - cross - cross.T + np.outer(share, share) * (each**2).sum()
    covariance = spread / n * users / (users - 1) / np.sqrt(np.outer(share, share))
    mean = float(np.trace(covariance)) / (bins - 1)
    if mean <= 1.0:
        return Design()
    squares = float((covariance**2).sum()) / (bins - 1)
    return Design(mean, max(squares / mean**2 - 1.0, 0.0))


def jensen_shannon(expected: Counts, found: Counts) -> float:
    """Jensen-Shannon divergence of two count vectors in bits, 0 to 1 (Lin, IEEE Trans. Inf. Theory 1991).

    For small differences, eight times its value in nats approximates the population stability index.
    """
    from scipy.spatial.distance import jensenshannon

    distance: float = jensenshannon(expected, found, base=2)
    return 0.0 if np.isnan(distance) else float(distance**2)


def shares_differ(expected: Counts, found: Counts, n: float, m: float, spread: float = 0.0) -> float:
    """p-value of the chi-square test that two count vectors (bins,) have the same shares.

    `n`, `m`: effective sample sizes; `spread`: of their `Design`, for Satterthwaite's correction of the
    statistic and its degrees of freedom. Rare bins are pooled.
    """
    p, q = expected / max(expected.sum(), 1), found / max(found.sum(), 1)
    both = (p * n + q * m) / (n + m)
    rare = both * min(n, m) < LEAST_EXPECTED
    table = np.stack([np.append(s[~rare], s[rare].sum()) * size for s, size in ((p, n), (q, m))])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return 1.0
    from scipy import stats  # importing it takes .4 s and 40 MB, which a service can do without

    test = stats.chi2_contingency(table, correction=False)
    return float(stats.chi2.sf(test.statistic / (1 + spread), test.dof / (1 + spread)))


def ks_distance(values: Values, counts: Counts, others: Values, other_counts: Counts) -> float:
    """Kolmogorov-Smirnov distance of two samples, each given as ascending distinct values and their
    counts."""
    grid = np.union1d(values, others)

    def share(at: Values, of: Counts) -> Values:
        up_to = np.concatenate([[0.0], np.cumsum(of) / of.sum()])
        return np.asarray(up_to[np.searchsorted(at, grid, side="right")], np.float64)

    return float(np.abs(share(values, counts) - share(others, other_counts)).max())


def ks_p(distance: float, n: float, m: float) -> float:
    """p-value of the two-sided two-sample test, from the one-sample distribution with size n m / (n + m)."""
    from scipy import stats

    return float(stats.kstwo.sf(distance, max(round(n * m / (n + m)), 1)))


class VectorShift(NamedTuple):
    """How two samples of unit vectors differ."""

    cosine: float
    """Cosine of their means."""
    mmd2: float
    """Squared maximum mean discrepancy, unbiased: its mean is 0 if there is no difference, so it may be
    negative."""
    p: float
    """p-value of a permutation test."""
    effect: float
    """Squared difference of the means along the direction in which they differ, over the variance along it:
    the population stability index of two normal distributions that far apart. Tends to be an underestimate,
    since the direction is itself an estimate."""


def vector_shift(gram: npt.NDArray[np.float64], n: int, *, seed: int = 0) -> VectorShift:
    """Compares `n` vectors with `m` others, given all cosines, float (n + m, n + m), the `n` first.

    Kernel exp(-(1 - cos) / median(1 - cos)): Gaussian with the median heuristic (Gretton et al., JMLR 2012).
    The direction of `effect` is found in one half of each sample and measured in the other.
    """
    m = len(gram) - n
    far = 1.0 - gram
    scale = float(np.median(far[np.triu_indices(n + m, 1)]))
    kernel = np.exp(-far / max(scale, 1e-9))
    sign = np.concatenate([np.full(n, 1.0 / n), np.full(m, -1.0 / m)])
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.permutation(sign) for _ in range(PERMUTATIONS)])
    found = float(sign @ kernel @ sign)
    by_chance = np.einsum("ij,ij->i", shuffled @ kernel, shuffled)
    p = (1 + int((by_chance >= found - 1e-12).sum())) / (PERMUTATIONS + 1)
    inner, outer, cross = gram[:n, :n], gram[n:, n:], gram[:n, n:]
    lengths = np.sqrt(max(inner.mean(), 1e-12) * max(outer.mean(), 1e-12))
    return VectorShift(float(cross.mean() / lengths), _unbiased(kernel, n), p, _effect(gram, n, rng))


def _unbiased(kernel: npt.NDArray[np.float64], n: int) -> float:
    m = len(kernel) - n
    if min(n, m) < 2:
        return 0.0
    a, b = kernel[:n, :n], kernel[n:, n:]
    within = (a.sum() - np.trace(a)) / (n * (n - 1)) + (b.sum() - np.trace(b)) / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def _effect(gram: npt.NDArray[np.float64], n: int, rng: np.random.Generator) -> float:
    m = len(gram) - n
    if min(n, m) < 4:
        return 0.0
    one, other = rng.permutation(n), n + rng.permutation(m)
    halves = [(one[: n // 2], other[: m // 2]), (one[n // 2 :], other[m // 2 :])]
    shifts = []
    for (x, y), (u, v) in (halves, halves[::-1]):
        # projections on the direction from the mean of x to that of y
        along = gram[:, y].mean(axis=1) - gram[:, x].mean(axis=1)
        spread = np.sqrt((along[u].var() + along[v].var()) / 2)
        shifts.append((along[v].mean() - along[u].mean()) / max(spread, 1e-12))
    shift = max(float(np.mean(shifts)), 0.0)
    return shift**2


def false_discovery(p: list[float]) -> list[float]:
    """p-values adjusted after Benjamini and Hochberg."""
    from scipy import stats

    adjusted: Any = stats.false_discovery_control(p) if p else []
    return [float(q) for q in adjusted]
