"""The mission guard: what serves must not lose to the best single model where lists leave the aisle.

Averages over all cases are won by substitutes. So whatever would serve is measured on the slices that this
package exists for, too, and what falls below the best single model there does not serve, whatever it wins
elsewhere. "Below" is a matter of a paired bootstrap: the whole interval of the difference is negative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.evaluate.glossary import slice_title
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.evaluate.ranking import first_places
from crossaisle.evaluate.scoring import Score
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.evaluate.slices import slices_of

MISSION = (
    "cross_open",
    "cross_limited",
    "novel_open",
    "novel_limited",
    "new_category",
    "cold_item",
    "goes_with",
)
"""Slices of `slices_of`, and `goes_with` of carts."""
OVERALL = "all"
K = 10
FEWEST = 100
"""Cases of a slice below which it decides nothing."""

Values = Mapping[str, Floats]
"""Slice -> float32 (n,): one figure per validation case, NaN where the case is not in the slice."""


def called(name: str) -> str:
    """A slice within a sentence."""
    title = slice_title(name)
    return f'"{title}"' if title != name else name


@dataclass(frozen=True)
class Shortfall:
    """A slice in which a candidate is worse than the best single model, beyond chance."""

    slice: str
    single: str
    floor: float
    """Mean of the single model."""
    value: float
    low: float
    """95 % interval of the difference, paired by case; both ends are negative."""
    high: float

    @property
    def statement(self) -> str:
        gap = f"{self.value - self.floor:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{called(self.slice)} {self.value:.4f}, {self.single} alone {self.floor:.4f} ({gap})"


@dataclass(frozen=True)
class Ruling:
    """What serves, what it costs overall, and why the others do not."""

    chosen: str
    overall: dict[str, float]
    """Mean over all cases, per candidate."""
    mission: dict[str, dict[str, float]]
    """Mean in each slice of the mission, per candidate."""
    shortfalls: dict[str, tuple[Shortfall, ...]]
    """Per candidate; empty for one that falls short nowhere."""

    @property
    def best(self) -> str:
        """The best candidate overall, whether it falls short or not."""
        return max(self.overall, key=lambda name: self.overall[name])

    @property
    def price(self) -> float:
        """What the guard costs overall: the best candidate's mean less the chosen one's, 0 or more."""
        return self.overall[self.best] - self.overall[self.chosen]

    @property
    def statement(self) -> str:
        """One or two sentences for reports and logs."""
        refused, own = self._said(self.best), self._said(self.chosen)
        if self.best == self.chosen:
            if not own:
                return f"mission guard: {self.chosen} serves; it falls below no single model in any slice"
            return f"mission guard: {self.chosen} serves, although it falls short: {own}"
        cost = f"which costs {self.price:.4f} overall ({self.overall[self.best]:.4f} before)"
        rest = f"; still short: {own}" if own else ""
        if refused:
            return f"mission guard: {self.best} falls short: {refused}. {self.chosen} serves, {cost}{rest}"
        before, after = self.mission[self.best], self.mission[self.chosen]
        moved = ", ".join(f"{called(name)} {before[name]:.4f} to {after[name]:.4f}" for name in after)
        return f"mission guard: {self.chosen} serves, {cost} and moves {moved}"

    def _said(self, name: str) -> str:
        return "; ".join(short.statement for short in self.shortfalls[name])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with `price` and `statement`."""
        return asdict(self) | {"best": self.best, "price": self.price, "statement": self.statement}


def mission_guard(
    candidates: Mapping[str, Values],
    singles: Mapping[str, Values],
    *,
    overall: str = OVERALL,
    price: float = 0.0,
    limit: float = 1.0,
    resamples: int = 1000,
    seed: int = 0,
) -> Ruling:
    """The best candidate among those that fall below no single model in any slice of the mission.

    Of those whose mean in the slice `overall` is within the share `price` of the best candidate's, whether
    that falls short or not, it is the one with the best mission: the mean over its slices of the ratio to the
    first candidate. Where keeping to the floors costs more than that already, it is the best one overall. If
    all fall short, it is the one whose shortfalls are smallest in all, each as a share of its floor. What is
    worse overall than the best candidate by more than the share `limit` is too dear and does not serve.

    Candidates and singles are measured on the same cases, in the same order; a slice with fewer than `FEWEST`
    cases, or that a candidate was not measured on, decides nothing. `ValueError` without a candidate.
    """
    if not candidates:
        raise ValueError("the mission guard needs something to choose from")
    means = {name: float(np.nanmean(values[overall])) for name, values in candidates.items()}
    floors = {name: _best_single(name, singles) for name in MISSION}
    shortfalls = {
        name: tuple(
            short
            for slice_, floor in floors.items()
            if floor is not None and slice_ in values
            for short in [_short(slice_, *floor, values[slice_], resamples, seed)]
            if short is not None
        )
        for name, values in candidates.items()
    }

    mission = {
        name: {slice_: float(np.nanmean(values[slice_])) for slice_ in _measured(values)}
        for name, values in candidates.items()
    }
    first = mission[next(iter(candidates))]

    def missing(name: str) -> float:
        return sum(1.0 - short.value / short.floor for short in shortfalls[name])

    def gained(name: str) -> float:
        ratios = [mission[name][slice_] / base for slice_, base in first.items() if base > 0]
        return float(np.mean(ratios)) if ratios and price else 0.0

    dearest = max(means.values()) * (1.0 - limit)
    affordable = [name for name in candidates if means[name] >= dearest]
    least = min(map(missing, affordable))
    left = [name for name in affordable if missing(name) <= least]
    floor = min(max(means[name] for name in left), max(means.values()) * (1.0 - price))
    chosen = max(
        (name for name in left if means[name] >= floor), key=lambda name: (gained(name), means[name])
    )
    return Ruling(chosen, means, mission, shortfalls)


def _measured(values: Values) -> list[str]:
    """The slices of the mission that have enough cases."""
    return [
        name for name in MISSION if name in values and np.count_nonzero(~np.isnan(values[name])) >= FEWEST
    ]


def slice_values(
    scorers: Mapping[str, Score],
    cases: EvalCases,
    taxonomy: Taxonomy,
    train_counts: npt.NDArray[np.integer],
    names: Collection[str],
) -> dict[str, dict[str, Floats]]:
    """Model -> slice -> float32 (cases,): NDCG@10 in some slices; without those that hold no target."""
    slices = [s for s in slices_of(cases, taxonomy, train_counts) if s.name in names and s.targets.any()]
    owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
    out: dict[str, dict[str, Floats]] = {}
    for model, places in first_places(scorers, cases, taxonomy, slices, k=K).items():
        out[model] = {}
        for one in slices:
            rank, ties = places.rank[one.limit][one.targets], places.ties[one.limit][one.targets]
            relevant = Relevant(owner[one.targets], rank, len(cases), ties)
            out[model][one.name] = ndcg(relevant, K).astype(np.float32)
    return out


def _best_single(slice_: str, singles: Mapping[str, Values]) -> tuple[str, Floats] | None:
    """The single model with the highest mean in a slice; None where the slice has too few cases."""
    means = {
        name: float(np.nanmean(values[slice_]))
        for name, values in singles.items()
        if slice_ in values and np.count_nonzero(~np.isnan(values[slice_])) >= FEWEST
    }
    if not means:
        return None
    best = max(means, key=lambda name: means[name])
    return best, singles[best][slice_]


def _short(
    slice_: str, single: str, floor: Floats, mine: Floats, resamples: int, seed: int
) -> Shortfall | None:
    known = ~np.isnan(mine) & ~np.isnan(floor)
    a, b = mine[known], floor[known]
    if len(a) < FEWEST or a.mean() >= b.mean():
        return None
    gap, _ = Bootstrap(n=len(a), resamples=resamples, seed=seed).difference(a[:, None], b[:, None])
    if gap.high[0] >= 0:
        return None
    return Shortfall(slice_, single, float(b.mean()), float(a.mean()), float(gap.low[0]), float(gap.high[0]))
