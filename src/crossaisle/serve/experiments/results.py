"""Results of an experiment: rewards per user, intervals that are always valid, off-policy estimates."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from crossaisle.api_types import ArmResult, Comparison, ExperimentResults, PolicyEstimate
from crossaisle.evaluate.confidence_sequences import Interval, at_last, difference
from crossaisle.evaluate.offpolicy import ESTIMATORS, Log, crossfitted
from crossaisle.serve.experiments.design import Experiment
from crossaisle.serve.experiments.log import Exposure
from crossaisle.serve.store.records import Event

SAME_SECONDS = 600.0
"""The same list shown to the same user again within this time counts once."""
FEW = 20
"""Up to this many lists of a user are searched for each event; of more, an index is built."""


@dataclass
class Seen:
    """One user of an experiment."""

    arm: str
    first: float
    """When something was shown for the first time."""
    exposures: list[Exposure] = field(default_factory=list)
    rewards: list[dict[int, float]] = field(default_factory=list)
    """For each exposure: place -> reward; an event counts for the latest list that showed its item."""

    @cached_property
    def _with(self) -> dict[str, list[int]]:
        """Item -> indices of the exposures that showed it, by time."""
        found: dict[str, list[int]] = {}
        for at, shown in enumerate(self.exposures):
            for item in shown.items:
                found.setdefault(item, []).append(at)
        return found

    def latest(self, event: Event, few: int) -> int | None:
        """Index of the last exposure up to an event that showed its item.

        Of more than `few` exposures an index is built.
        """
        if len(self.exposures) > few:
            found = self._with.get(event.item, [])
        else:
            found = [at for at, shown in enumerate(self.exposures) if event.item in shown.items]
        place = bisect_right(found, event.time, key=lambda at: self.exposures[at].time)
        return found[place - 1] if place else None

    @property
    def total(self) -> float:
        """All rewards."""
        return sum(sum(one.values()) for one in self.rewards)


def outcomes(
    experiment: Experiment, exposures: Iterable[Exposure], goals: Iterable[Event], *, few: int = FEW
) -> dict[str, Seen]:
    """All users who were shown something, by first time shown, with what followed within the window."""
    seen: dict[str, Seen] = {}
    window = experiment.window_hours * 3600.0
    for shown in sorted(exposures, key=lambda exposure: exposure.time):
        user = seen.setdefault(shown.user, Seen(shown.arm, shown.time))
        if user.exposures and _again(user.exposures[-1], shown):
            continue
        if shown.time <= user.first + window:
            user.exposures.append(shown)
            user.rewards.append({})
    for event in goals:
        known = seen.get(event.user)
        if known is None or not known.first <= event.time <= known.first + window:
            continue
        at = known.latest(event, few)
        if at is not None:
            place = known.exposures[at].items.index(event.item)
            worth = (event.value or 0.0) if experiment.metric == "value" else 1.0
            known.rewards[at][place] = known.rewards[at].get(place, 0.0) + worth
    return seen


def _again(before: Exposure, now: Exposure) -> bool:
    """The same list shown again within a while, which each worker logs once."""
    same = (before.arm, before.items) == (now.arm, now.items)
    return same and now.time - before.time < SAME_SECONDS


def results(
    experiment: Experiment, exposures: Iterable[Exposure], goals: Iterable[Event], now: float
) -> ExperimentResults:
    """The state of an experiment; users whose window is still open are counted as pending."""
    seen = outcomes(experiment, exposures, goals)
    end = min(now, experiment.stopped or now)
    closed = end - experiment.window_hours * 3600.0
    done = [user for user in seen.values() if user.first <= closed]
    arms, comparisons = (_preference if experiment.kind == "interleaving" else _compared)(experiment, done)
    return ExperimentResults(
        experiment=experiment.to_dict(),
        running=experiment.running,
        users=len(done),
        pending=len(seen) - len(done),
        exposures=sum(len(user.exposures) for user in seen.values()),
        arms=tuple(arms),
        comparisons=tuple(comparisons),
        off_policy=tuple(_off_policy(experiment, done)),
    )


def _outcome(experiment: Experiment, user: Seen) -> float:
    return float(user.total > 0) if experiment.metric == "conversion" else user.total


def _compared(experiment: Experiment, done: Sequence[Seen]) -> tuple[list[ArmResult], list[Comparison]]:
    arms, comparisons = [], []
    baseline = experiment.arms[0]
    for arm in experiment.arms:
        own = [_outcome(experiment, user) for user in done if user.arm == arm.name]
        arms.append(_arm(arm.name, own, at_last(own)))
        if arm is baseline:
            continue
        both = [user for user in done if user.arm in (arm.name, baseline.name)]
        share = arm.weight / (arm.weight + baseline.weight)
        treated = [user.arm == arm.name for user in both]
        effect = difference(treated, [_outcome(experiment, user) for user in both], share)
        comparisons.append(_comparison(arm.name, baseline.name, effect))
    return arms, comparisons


def _preference(experiment: Experiment, done: Sequence[Seen]) -> tuple[list[ArmResult], list[Comparison]]:
    """Interleaving: per user, which arm's items earned more: -1, 0 or 1."""
    earned: list[tuple[float, float]] = []
    for user in done:
        sums = [0.0, 0.0]
        for shown, rewards in zip(user.exposures, user.rewards, strict=True):
            for place, worth in rewards.items():
                sums[shown.teams[place]] += worth
        earned.append((sums[0], sums[1]))
    arms = []
    for number, arm in enumerate(experiment.arms):
        own = [float(one[number] > 0) if experiment.metric == "conversion" else one[number] for one in earned]
        arms.append(_arm(arm.name, own, at_last(own)))
    signs = [float(np.sign(second - first)) for first, second in earned]
    first, second = experiment.arms
    return arms, [_comparison(second.name, first.name, at_last(signs))]


def _arm(name: str, own: Sequence[float], interval: Interval) -> ArmResult:
    return ArmResult(
        name=name,
        users=len(own),
        mean=_finite(interval.value),
        low=_finite(interval.low),
        high=_finite(interval.high),
    )


def _comparison(arm: str, baseline: str, interval: Interval) -> Comparison:
    return Comparison(
        arm=arm,
        baseline=baseline,
        difference=_finite(interval.value),
        low=_finite(interval.low),
        high=_finite(interval.high),
        users=interval.n,
        decided=interval.decided,
    )


def _off_policy(experiment: Experiment, done: Sequence[Seen]) -> Iterable[PolicyEstimate]:
    """For arms that explore: what their ranking as it is would earn per place shown."""
    for arm in experiment.arms:
        users = [user for user in done if user.arm == arm.name and arm.explore is not None]
        columns: dict[str, list[float]] = defaultdict(list)
        chosen: list[tuple[int, str, str]] = []
        for number, user in enumerate(users):
            for shown, rewards in zip(user.exposures, user.rewards, strict=True):
                for place, (item, chance) in enumerate(zip(shown.items, shown.propensities, strict=False)):
                    best = shown.ranked[place]
                    reward = rewards.get(place, 0.0)
                    counted = float(reward > 0) if experiment.metric == "conversion" else reward
                    columns["reward"].append(counted)
                    columns["propensity"].append(chance)
                    columns["target"].append(float(item == best))
                    columns["cluster"].append(number)
                    chosen.append((place, item, best))
        if not chosen:
            continue
        log = _log(columns, chosen)
        served = log.reward.mean()
        for name, estimate in ESTIMATORS.items():
            found = estimate(log)
            yield PolicyEstimate(
                arm=arm.name,
                estimator=name,
                served=float(served),
                value=_finite(found.value),
                low=_finite(found.low),
                high=_finite(found.high),
                rows=found.n,
                effective=round(found.effective, 1),
            )


def _log(columns: dict[str, list[float]], chosen: Sequence[tuple[int, str, str]]) -> Log:
    names: dict[str, int] = {}
    code = [names.setdefault(item, len(names)) for _, item, best in chosen for item in (item, best)]
    items = np.array(code, np.int64).reshape(-1, 2)
    place = np.array([one[0] for one in chosen], np.int64)
    cluster = np.array(columns["cluster"], np.int64)
    reward = np.array(columns["reward"])
    shown, best = (place * len(names) + items[:, side] for side in (0, 1))
    predicted, expected = crossfitted([place, shown], reward, [[place, shown], [place, best]], cluster)
    return Log(
        reward=reward,
        propensity=np.array(columns["propensity"]),
        target=np.array(columns["target"]),
        predicted=predicted,
        expected=expected,
        cluster=cluster,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
