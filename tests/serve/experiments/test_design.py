"""Who gets what: shares are kept, people keep their arm, lists by chance have the probabilities they say."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest

from crossaisle.data.query import Query
from crossaisle.errors import ConfigError
from crossaisle.serve.experiments.design import Arm, Controls, Experiment, uniform
from crossaisle.serve.experiments.mixing import explore, place_probabilities, team_draft


def experiment(*arms: Arm, name: str = "e", **more: object) -> Experiment:
    return Experiment(name=name, arms=arms or (Arm(name="a"), Arm(name="b")), started=0.0, **more)  # type: ignore[arg-type]


def test_shares_are_kept_and_people_keep_their_arm() -> None:
    one = experiment(Arm(name="a", weight=1.0), Arm(name="b", weight=3.0))
    users = [f"user-{n}" for n in range(20_000)]
    arms = [one.assign(user).name for user in users]
    assert abs(arms.count("b") / len(arms) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / len(arms))
    assert arms == [one.assign(user).name for user in users]
    assert Experiment.of(one.to_dict()) == one


def test_the_hash_is_the_same_everywhere() -> None:
    assert uniform("e", "ann") == pytest.approx(0.7765206, abs=1e-6)
    assert uniform("e", "ann") != uniform("ea", "nn")


def test_two_experiments_split_people_independently() -> None:
    first, second = experiment(name="one"), experiment(name="two")
    users = [f"user-{n}" for n in range(20_000)]
    counts = Counter((first.assign(u).name, second.assign(u).name) for u in users)
    assert all(abs(n / len(users) - 0.25) < 0.013 for n in counts.values())


def test_an_arm_fills_in_what_the_request_leaves_open() -> None:
    arm = Arm(name="a", controls=Controls(cross_share=0.5, diversity=0.3, quota=1, exclude_seen=True))
    found = arm.query(Query(user="u"))
    assert (found.cross_share, found.diversity, found.quota, found.exclude_seen) == (0.5, 0.3, 1, True)
    found = arm.query(Query(user="u", cross_share=0.1, diversity=0.9, quota=4, exclude_seen=False))
    assert (found.cross_share, found.diversity, found.quota, found.exclude_seen) == (0.1, 0.9, 4, False)


@pytest.mark.parametrize(
    ("arms", "more", "message"),
    [
        ((Arm(name="a"),), {}, "at least two"),
        ((Arm(name="a"), Arm(name="a")), {}, "different names"),
        ((Arm(name="a"), Arm(name="b"), Arm(name="c")), {"kind": "interleaving"}, "two arms"),
        ((Arm(name="a"), Arm(name="b", explore=1.0)), {"kind": "interleaving"}, "no weight, no explore"),
    ],
)
def test_contradictions_are_refused(arms: tuple[Arm, ...], more: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment(*arms, **more)


@pytest.mark.parametrize(("n", "length", "greed"), [(6, 3, 1.0), (5, 5, 0.0), (30, 8, 0.7), (3, 1, 10.0)])
def test_drawn_lists_have_the_probabilities_they_say(n: int, length: int, greed: float) -> None:
    rng, runs = random.Random(0), 6000
    counts = np.zeros((n, length))
    for _ in range(runs):
        drawn = explore(n, length, greed, rng)
        assert len(set(drawn)) == length
        counts[drawn, np.arange(length)] += 1
    said = place_probabilities(n, length, greed)
    error = np.sqrt(np.maximum(said * (1 - said), 1e-4) / runs)
    assert (abs(counts / runs - said) < 4.5 * error).all()
    assert said.sum(axis=0) == pytest.approx(1.0)


def test_pure_chance_and_greed_are_the_extremes() -> None:
    assert place_probabilities(4, 2, 0.0) == pytest.approx(0.25)
    assert place_probabilities(30, 3, 10.0)[[0, 1, 2], [0, 1, 2]].min() > 0.8


def test_team_draft_is_fair_and_whole() -> None:
    rng = random.Random(0)
    first, second = ["a", "b", "c", "d"], ["c", "a", "e", "f"]
    teams: Counter[int] = Counter()
    for _ in range(2000):
        mixed = team_draft(first, second, 4, rng)
        items = [item for item, _ in mixed]
        assert len(set(items)) == 4
        assert {items[0], items[1]} <= {"a", "c", "b"}
        teams.update(team for _, team in mixed)
    assert teams[0] == teams[1]  # an even number of places is shared out evenly
    assert len(team_draft(first, second, 10, rng)) == 6
    assert team_draft([], [], 3, rng) == []


def test_an_experiment_stored_by_an_earlier_version_is_read() -> None:
    arms = (Arm(name="a"), Arm(name="b", controls=Controls(cross_share=0.5, diversity=0.3)))
    today = experiment(*arms)
    body = json.loads(json.dumps(today.to_dict()))
    for arm in body["arms"]:
        arm["controls"]["share"] = arm["controls"].pop("cross_share")
    assert Experiment.of(body) == today
    assert Experiment.of(json.loads(json.dumps(today.to_dict()))) == today
