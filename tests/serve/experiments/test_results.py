"""Results from logs whose truth is known."""

from __future__ import annotations

import random
import time

import pytest

from crossaisle.serve.experiments.design import Arm, Experiment
from crossaisle.serve.experiments.log import Exposure
from crossaisle.serve.experiments.mixing import explore, place_probabilities, team_draft
from crossaisle.serve.experiments.results import outcomes, results
from crossaisle.serve.store.records import Event

HOUR = 3600.0
AB = Experiment(name="e", arms=(Arm(name="a"), Arm(name="b")), started=0.0, window_hours=1.0)


def shown(user: str, arm: str, time: float, *items: str) -> Exposure:
    return Exposure("e", arm, user, time, items, (1.0,) * len(items), 0.5)


def goal(user: str, item: str, time: float, value: float | None = None) -> Event:
    return Event(None, user, item, "cart", time, value)


def test_what_counts_and_what_does_not() -> None:
    exposures = [
        shown("ann", "a", 0.0, "x", "y"),
        shown("bob", "b", 10.0, "x"),
        shown("cid", "b", 20.0, "x"),
        shown("dee", "a", 5 * HOUR, "x"),
    ]
    goals = [
        goal("ann", "x", 5.0),
        goal("ann", "y", 6.0),
        goal("bob", "z", 20.0),  # not shown
        goal("bob", "x", 9.0),  # before
        goal("cid", "x", 20.0 + HOUR + 1),  # too late
        goal("eve", "x", 5.0),  # never shown anything
    ]
    found = results(AB, exposures, goals, now=5 * HOUR + 60)
    assert (found.users, found.pending, found.exposures) == (3, 1, 4)
    assert [(arm.users, arm.mean) for arm in found.arms] == [(1, 1.0), (2, 0.0)]
    assert found.arms[0].low is None  # too few
    assert not found.comparisons[0].decided


@pytest.mark.parametrize(("metric", "mean"), [("conversion", 1.0), ("count", 2.0), ("value", 7.5)])
def test_metrics(metric: str, mean: float) -> None:
    one = Experiment(name="e", arms=AB.arms, started=0.0, window_hours=1.0, metric=metric)  # type: ignore[arg-type]
    goals = [goal("ann", "x", 5.0, 5.0), goal("ann", "x", 6.0, 2.5)]
    assert results(one, [shown("ann", "a", 0.0, "x")], goals, now=2 * HOUR).arms[0].mean == mean


def test_a_stopped_experiment_counts_whole_windows_only() -> None:
    stopped = Experiment(name="e", arms=AB.arms, started=0.0, window_hours=1.0, stopped=HOUR + 5)
    found = results(stopped, [shown("ann", "a", 0.0, "x"), shown("bob", "a", 10.0, "x")], [], now=9 * HOUR)
    assert (found.users, found.pending, found.running) == (1, 1, False)


def test_nobody_yet() -> None:
    found = results(AB, [], [], now=1.0)
    assert found.arms[0].mean is None
    assert found.comparisons[0].users == 0


def test_a_true_difference_is_found() -> None:
    rng = random.Random(0)
    exposures, goals = [], []
    for n in range(3000):
        arm = rng.choice("ab")
        exposures.append(shown(f"u{n}", arm, float(n), "x"))
        if rng.random() < (0.1 if arm == "a" else 0.2):
            goals.append(goal(f"u{n}", "x", n + 1.0))
    (found,) = results(AB, exposures, goals, now=9 * HOUR).comparisons
    assert found.decided
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.1 < found.high


def test_interleaving_finds_the_better_ranking() -> None:
    one = Experiment(name="e", kind="interleaving", arms=AB.arms, started=0.0, window_hours=1.0)
    rng = random.Random(0)
    good, bad = [f"i{n}" for n in range(10)], [f"i{n}" for n in reversed(range(10))]
    exposures, goals = [], []
    for n in range(1500):
        mixed = team_draft(bad, good, 4, rng)
        items, teams = zip(*mixed, strict=True)
        exposures.append(Exposure("e", "", f"u{n}", float(n), items, (), 1.0, (), teams))
        liked = [item for item in items if rng.random() < 0.3 / (1 + int(item[1:]))]
        goals += [goal(f"u{n}", item, n + 1.0) for item in liked]
    found = results(one, exposures, goals, now=9 * HOUR)
    assert found.comparisons[0].decided
    assert (found.comparisons[0].low or 0) > 0


def test_off_policy_estimates_find_what_the_ranking_alone_would_earn() -> None:
    """Clicks depend on item and place; the truth for the ranking itself is known."""
    one = Experiment(
        name="e", arms=(Arm(name="a"), Arm(name="b", explore=1.0)), started=0.0, window_hours=1.0
    )
    ranked = [f"i{n}" for n in range(12)]
    truth = sum(0.6 / (1 + n) * 0.8**n for n in range(4)) / 4
    table = place_probabilities(12, 4, 1.0)
    inside = dict.fromkeys(("IPS", "SNIPS", "DR"), 0)
    sums = dict.fromkeys(inside, 0.0)
    runs = 40
    for run in range(runs):
        rng = random.Random(run)
        exposures, goals = [], []
        for n in range(600):
            drawn = explore(12, 4, 1.0, rng)
            items = tuple(ranked[rank] for rank in drawn)
            chances = tuple(float(table[rank, at]) for at, rank in enumerate(drawn))
            exposures.append(Exposure("e", "b", f"u{n}", float(n), items, chances, 0.5, tuple(ranked[:4])))
            for at, rank in enumerate(drawn):
                if rng.random() < 0.6 / (1 + rank) * 0.8**at:
                    goals.append(goal(f"u{n}", ranked[rank], n + 1.0))
        for estimate in results(one, exposures, goals, now=9 * HOUR).off_policy:
            assert estimate.value is not None
            assert estimate.low is not None
            assert estimate.high is not None
            inside[estimate.estimator] += estimate.low <= truth <= estimate.high
            sums[estimate.estimator] += estimate.value / runs
            assert estimate.served < truth  # exploring costs
    assert all(0.85 * runs <= n for n in inside.values()), inside
    assert all(abs(value - truth) < 0.012 for value in sums.values()), sums  # 3.5 standard errors


@pytest.mark.parametrize("few", [0, 1000])
def test_an_event_counts_for_the_latest_list_that_showed_its_item(
    few: int,
) -> None:
    rng = random.Random(2)
    one = Experiment(name="e", arms=AB.arms, started=0.0, window_hours=1.0, metric="count")
    exposures = [
        shown(rng.choice("xyz"), "a", float(rng.randrange(300)), *rng.sample("abcdefgh", 3))
        for _ in range(80)
    ]
    goals = sorted(
        (goal(rng.choice("xyzw"), rng.choice("abcdefghi"), float(rng.randrange(400))) for _ in range(300)),
        key=lambda event: event.time,
    )
    for person in outcomes(one, exposures, goals, few=few).values():
        expected: list[dict[int, float]] = [{} for _ in person.exposures]
        for event in goals:
            at = [
                n
                for n, list_ in enumerate(person.exposures)
                if list_.user == event.user and list_.time <= event.time and event.item in list_.items
            ]
            if at:
                place = person.exposures[at[-1]].items.index(event.item)
                expected[at[-1]][place] = expected[at[-1]].get(place, 0.0) + 1.0
        assert person.rewards == expected


def test_a_person_with_many_lists_and_many_events_does_not_take_the_square_of_the_time() -> None:
    exposures = [shown("bot", "a", n / 10, f"i{n}", *(f"s{k}" for k in range(19))) for n in range(5000)]
    goals = [goal("bot", "never shown", 1000.0) for _ in range(5000)]
    start = time.process_time()
    results(AB, exposures, goals, now=2 * HOUR)
    assert time.process_time() - start < 3  # 10 s when each event went through all lists
