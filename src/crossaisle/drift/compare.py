"""`compare`: what changed between two summaries, how much, how significantly, and whether to refit.

Every check has an effect on the scale of the population stability index (PSI), a p-value, and a verdict:
stable below .1 or if not significant, moderate up to .25, drift above. Significance is at .05, adjusted after
Benjamini and Hochberg over all checks.

| check | measure | effect | p-value |
|---|---|---|---|
| categories | PSI | PSI less chance | chi-square |
| prices | Kolmogorov-Smirnov distance, PSI over deciles | PSI less chance | Kolmogorov-Smirnov |
| words | Jensen-Shannon divergence in bits | PSI, which is 8 ln(2) times it, less chance | chi-square |
| vectors | cosine of the means, MMD | squared standardised shift along the difference | permutation |
| calibration | share of next products in the first ten | its relative change | Fisher's exact test |

p-values and chance levels are based on effective sample sizes, see `drift.measures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.drift.measures import (
    Counts,
    chance,
    false_discovery,
    jensen_shannon,
    ks_distance,
    ks_p,
    psi,
    shares_differ,
    vector_shift,
    verdict,
)
from crossaisle.drift.summary import PLACES, Shares, Summary, decile_edges

LEVEL = 0.05
MOVERS = 5
FEWEST = 30
"""Minimum number of events, or of users for calibration; no check is made with fewer."""
NEW_ITEMS = 0.05
"""Share of events with items unknown to the model from which a refit is advised on that ground alone."""
PSI_PER_BIT = 8 * float(np.log(2))


@dataclass(frozen=True)
class Check:
    """One quantity that may have drifted."""

    name: str
    effect: float
    p: float
    measures: Mapping[str, float]
    """Name -> value: PSI, distances, shares."""
    movers: tuple[tuple[str, float, float], ...] = ()
    """What changed most: name, share before, share now."""
    q: float = 1.0
    verdict: str = "stable"


@dataclass(frozen=True)
class Drift:
    """All checks, and the advice that follows from them."""

    checks: tuple[Check, ...]
    events: int
    users: int
    new_items: float
    """Share of the events whose items the model does not know."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Check -> why it could not be made."""

    @property
    def verdict(self) -> str:
        """The verdict of the check with the largest effect."""
        order = ("stable", "moderate", "drift")
        found = [order.index(check.verdict) for check in self.checks]
        return order[max(found, default=0)]

    @property
    def advice(self) -> str:
        """One sentence: whether to refit, and why."""
        moved = {c.name: c for c in self.checks if c.verdict != "stable"}
        lists = moved.get("calibration")
        if lists is not None and lists.measures["now"] < lists.measures["before"]:
            return (
                f"Fit again now: lists find {lists.measures['now']:.1%} of the next products, "
                f"{lists.measures['before']:.1%} when the model was fitted."
            )
        if self.new_items >= NEW_ITEMS:
            return (
                f"Fit again: {self.new_items:.0%} of the events are about items that the model does not know."
            )
        strong = [name for name, check in moved.items() if check.verdict == "drift" and name != "calibration"]
        if strong:
            why = f"{_and(strong)} {'has' if strong == ['calibration'] else 'have'} drifted"
            measured = any(c.name == "calibration" for c in self.checks)
            rest = "; lists are still as good as they were" if measured and lists is None else ""
            return f"Fit again: {why}{rest}."
        if moved:
            return f"No need to fit again yet: {_and(list(moved))} moved moderately. Look again soon."
        if not self.checks:
            return "Nothing could be compared."
        return "No need to fit again: what moved is what chance gives."

    def to_dict(self) -> dict[str, Any]:
        """A dictionary ready for JSON."""
        return asdict(self) | {"verdict": self.verdict, "advice": self.advice}


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def compare(
    before: Summary,
    now: Summary,
    *,
    vectors: tuple[Any, Any] | None = None,
    new_items: float = 0.0,
) -> Drift:
    """Runs all checks; `now` must count the words of `before` (`Summary.of(..., words=...)`).

    `vectors`: rows of unit length for the items of `before.drawn` and `now.drawn`, float32 or csr; None if
    there are none. Rows of zeros, of items without a text, are ignored.
    """
    skipped: dict[str, str] = {}
    if now.events < FEWEST or before.events < FEWEST:
        few = f"fewer than {FEWEST} events"
        names = ("categories", "prices", "words", "vectors", "calibration")
        return Drift((), now.events, now.users, new_items, dict.fromkeys(names, few))
    checks = [compare_categories(before.categories, now.categories), _words(before.words, now.words)]
    if min(before.price_counts.sum(), now.price_counts.sum()) >= FEWEST:
        checks.insert(1, compare_prices(before, now))
    else:
        skipped["prices"] = "too few events have a known price"
    told = [] if vectors is None else [rows[_told(rows)] for rows in vectors]
    if not told or min(rows.shape[0] for rows in told) < FEWEST:
        skipped["vectors"] = f"fewer than {FEWEST} users" if told else "the model has no texts to read"
    else:
        checks.append(_vectors(told[0], told[1]))
    if before.hits is None:
        skipped["calibration"] = "not measured when the model was fitted"
    elif now.hits is None or now.hits.sum() < FEWEST:
        skipped["calibration"] = f"fewer than {FEWEST} users that the model knows have events"
    else:
        checks.append(_calibration(before.hits, now.hits))
    q = false_discovery([check.p for check in checks])
    judged = [
        replace(check, q=one, verdict=verdict(check.effect if one <= LEVEL else 0.0))
        for check, one in zip(checks, q, strict=True)
    ]
    return Drift(tuple(judged), now.events, now.users, new_items, skipped)


def _aligned(before: Shares, now: Shares) -> tuple[list[str], Counts, Counts]:
    names = list(dict.fromkeys([*before.counts, *now.counts]))
    one, other = (np.array([of.counts.get(n, 0) for n in names], np.int64) for of in (before, now))
    return names, one, other


def _movers(names: list[str], one: Counts, other: Counts) -> tuple[tuple[str, float, float], ...]:
    p, q = one / one.sum(), other / other.sum()
    most = np.argsort(-np.abs(q - p), kind="stable")[:MOVERS].tolist()
    return tuple((names[i], float(p[i]), float(q[i])) for i in most)


def _spread(before: Shares, now: Shares) -> float:
    """Spread of the difference of two samples, dominated by the smaller one."""
    one, other = 1 / before.effective, 1 / now.effective
    return (before.design.spread * one + now.design.spread * other) / (one + other)


def category_drift(before: Shares, now: Shares) -> float:
    """PSI of categories beyond chance, at least 0: the effect of the categories check."""
    return _drifted(*_category_drift(before, now))


def price_drift(before: Summary, now: Summary) -> float:
    """The same for prices; both summaries need events with known prices."""
    return _drifted(*_price_drift(before, now, *_in_deciles(before, now)[1:]))


def compare_categories(before: Shares, now: Shares) -> Check:
    """The categories check before the correction for multiple tests."""
    names, one, other = _aligned(before, now)
    found, expected = _category_drift(before, now)
    p = shares_differ(one, other, before.effective, now.effective, _spread(before, now))
    measures = {"psi": found, "chance": expected}
    return Check("categories", _drifted(found, expected), p, measures, _movers(names, one, other))


def _drifted(found: float, expected: float) -> float:
    return max(found - expected, 0.0)


def _category_drift(before: Shares, now: Shares) -> tuple[float, float]:
    """PSI, and its expected value under chance."""
    names, one, other = _aligned(before, now)
    return psi(one, other), chance(len(names), before.effective, now.effective)


def _words(before: Shares, now: Shares) -> Check:
    names, one, other = _aligned(before, now)
    found = jensen_shannon(one, other)
    expected = chance(len(names), before.effective, now.effective)
    p = shares_differ(one, other, before.effective, now.effective, _spread(before, now))
    effect = max(PSI_PER_BIT * found - expected, 0.0)
    measures = {"jensen_shannon": found, "chance": expected / PSI_PER_BIT}
    return Check("words", effect, p, measures, _movers(names, one, other))


def compare_prices(before: Summary, now: Summary) -> Check:
    """The prices check before the correction for multiple tests; both summaries need events with known
    prices."""
    names, one, other = _in_deciles(before, now)
    found, expected = _price_drift(before, now, one, other)
    distance = ks_distance(before.price, before.price_counts, now.price, now.price_counts)
    p = ks_p(distance, before.price_effective, now.price_effective)
    measures = {
        "ks": distance,
        "psi": found,
        "chance": expected,
        "median_before": _median(before),
        "median_now": _median(now),
    }
    return Check("prices", _drifted(found, expected), p, measures, _movers(names, one, other))


def _in_deciles(
    before: Summary, now: Summary
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Names of bins that each hold a tenth of the earlier prices, and each summary's number of events in
    them."""
    edges = decile_edges(before.price, before.price_counts)
    names = [f"up to {edge:.2f}" for edge in edges] + [f"over {edges[-1]:.2f}"]
    one, other = (
        np.bincount(np.searchsorted(edges, of.price, side="left"), of.price_counts, len(names)).astype(
            np.int64
        )
        for of in (before, now)
    )
    return names, one, other


def _price_drift(
    before: Summary, now: Summary, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """PSI of binned prices, and its expected value under chance."""
    bins = int(((one + other) > 0).sum())
    return psi(one, other), chance(bins, before.price_effective, now.price_effective)


def _median(of: Summary) -> float:
    up_to = np.cumsum(of.price_counts)
    return float(of.price[np.searchsorted(up_to, up_to[-1] / 2)])


def _told(vectors: Any) -> npt.NDArray[np.bool_]:
    """bool (n,): rows that are not all zeros."""
    return np.asarray(abs(vectors).sum(axis=1)).ravel() > 0


def _vectors(before: Any, now: Any) -> Check:
    found = vector_shift(cosines(before, now), before.shape[0])
    return Check("vectors", found.effect, found.p, {"cosine": found.cosine, "mmd2": found.mmd2})


def _calibration(before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]) -> Check:
    from scipy import stats  # importing it takes .4 s and 40 MB, which a service can do without

    hit, other = int(before[:PLACES].sum()), int(now[:PLACES].sum())
    n, m = int(before.sum()), int(now.sum())
    p = float(stats.fisher_exact([[hit, n - hit], [other, m - other]]).pvalue)
    was, is_ = hit / n, other / m
    by_place = np.abs(now[:PLACES] / m - before[:PLACES] / n)
    most = np.argsort(-by_place, kind="stable")[:MOVERS].tolist()
    measures = {"before": was, "now": is_, "users_before": n, "users": m, "error": float(by_place.mean())}
    effect = abs(is_ - was) / max(was, 1 / n)
    movers = tuple((f"place {k + 1}", float(before[k] / n), float(now[k] / m)) for k in most)
    return Check("calibration", effect, p, measures, movers)


def cosines(before: Any, now: Any) -> npt.NDArray[np.float64]:
    """All pairwise cosines, float64 (n + m, n + m), of rows of unit length, dense or csr."""
    stacked = sparse.vstack([before, now]) if sparse.issparse(before) else np.vstack([before, now])
    product = stacked @ stacked.T
    return np.asarray(product.todense() if sparse.issparse(product) else product, np.float64)
