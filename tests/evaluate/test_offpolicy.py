"""Off-policy estimates against a simulated truth: unbiased, and intervals that cover it."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.evaluate.offpolicy import Log, crossfitted, doubly_robust, ips, snips

CONTEXTS, ACTIONS, N, RUNS = 6, 5, 800, 300


class World:
    """Contexts, actions and rewards whose truth is known."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.rewards = rng.uniform(0.05, 0.6, (CONTEXTS, ACTIONS))
        self.logging = rng.dirichlet(np.full(ACTIONS, 2.0), CONTEXTS) * 0.8 + 0.2 / ACTIONS
        self.target = rng.dirichlet(np.full(ACTIONS, 1.0), CONTEXTS)
        self.truth = float((self.target * self.rewards).sum(axis=1).mean())

    def log(self, rng: np.random.Generator, *, wrong: float = 0.0, model: bool = True) -> Log:
        """A log; `wrong` is how far the model of rewards is off."""
        x = rng.integers(0, CONTEXTS, N)
        a = (rng.random((N, 1)) > np.cumsum(self.logging[x], axis=1)).sum(axis=1).clip(0, ACTIONS - 1)
        r = (rng.random(N) < self.rewards[x, a]).astype(float)
        q = self.rewards + wrong
        return Log(
            reward=r,
            propensity=self.logging[x, a],
            target=self.target[x, a],
            predicted=q[x, a] if model else None,
            expected=(self.target * q).sum(axis=1)[x] if model else None,
        )


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "dr with a wrong model"])
def test_estimates_are_right_on_average_and_intervals_cover(name: str) -> None:
    world, rng = World(), np.random.default_rng(3)
    estimate = {"ips": ips, "snips": snips}.get(name, doubly_robust)
    found = [estimate(world.log(rng, wrong=0.3 if "wrong" in name else 0.0)) for _ in range(RUNS)]
    values = np.array([one.value for one in found])
    error = values.std() / np.sqrt(RUNS)
    assert abs(values.mean() - world.truth) < 3.5 * error + (0.002 if name == "snips" else 0.0)
    covered = np.mean([one.low <= world.truth <= one.high for one in found])
    assert 0.90 <= covered <= 0.985
    assert all(one.effective <= one.n == N for one in found)


def test_a_model_makes_it_narrower_and_normalising_too() -> None:
    world = World()
    log = world.log(np.random.default_rng(0))
    width = {f.__name__: f(log).high - f(log).low for f in (ips, snips, doubly_robust)}
    assert width["doubly_robust"] < width["ips"]
    assert width["snips"] < width["ips"]


def test_the_plain_mean_of_a_log_is_not_the_targets() -> None:
    world, rng = World(), np.random.default_rng(4)
    plain = np.mean([world.log(rng).reward.mean() for _ in range(100)])
    assert abs(plain - world.truth) > 0.02


def test_intervals_cover_when_rows_of_a_person_are_clustered() -> None:
    rng = np.random.default_rng(5)
    covered = {"rows": 0, "people": 0}
    for _ in range(200):
        person = np.repeat(np.arange(80), 10)
        r = (rng.random(80) * 0.6)[person] + rng.normal(0, 0.05, 800)
        one = np.ones(800)
        for name, cluster in (("rows", None), ("people", person)):
            found = ips(Log(reward=r, propensity=one, target=one, cluster=cluster))
            covered[name] += found.low <= 0.3 <= found.high
    assert covered["people"] > 180
    assert covered["rows"] < 140


@pytest.mark.parametrize("people", [50, 300])
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_an_interval_that_is_given_holds_however_few_the_rewards(people: int, rate: float) -> None:
    rng, held = np.random.default_rng(8), []
    for _ in range(400):
        person = np.repeat(np.arange(people), 5)
        chance = rate * rng.gamma(2.0, 0.5, people)[person]  # some people buy more often
        reward = (rng.random(len(person)) < chance).astype(float)
        propensity = np.where(rng.random(len(person)) < 0.3, 0.3, 0.7)
        target = (propensity == 0.3).astype(float)
        found = ips(Log(reward=reward, propensity=propensity, target=target, cluster=person))
        held.append(found.low <= rate <= found.high)
    assert np.mean(held) > 0.92


def test_few_rewards_give_no_interval() -> None:
    reward = (np.arange(100) < 19).astype(float)
    one = np.ones(100)
    assert ips(Log(reward=reward, propensity=one, target=one)).high == np.inf
    reward[19] = 1.0
    assert ips(Log(reward=reward, propensity=one, target=one)).high < np.inf
    alike = np.arange(100) // 2
    assert snips(Log(reward=reward, propensity=one, target=one, cluster=alike)).high == np.inf


def test_clipping_bounds_the_weights() -> None:
    log = Log(reward=np.ones(4), propensity=np.full(4, 0.01), target=np.ones(4))
    assert ips(log).value == 100.0
    assert ips(log, clip=5.0).value == 5.0
    assert snips(log).value == 1.0


def test_crossfitted_means_do_not_see_their_own_row() -> None:
    rng = np.random.default_rng(6)
    place, item = rng.integers(0, 3, 3000), rng.integers(0, 20, 3000)
    reward = 0.1 * place + 0.02 * item + rng.normal(0, 0.01, 3000)
    both = place * 100 + item
    cluster = np.arange(3000)
    (found,) = crossfitted([place, both], reward, [[place, both]], cluster, shrink=1.0)
    assert np.corrcoef(found, reward)[0, 1] > 0.98
    noise = rng.normal(0, 1, 3000)
    (found,) = crossfitted([np.arange(3000)], noise, [[np.arange(3000)]], cluster)
    assert abs(np.corrcoef(found, noise)[0, 1]) < 0.1


def test_what_does_not_fit_together_is_refused() -> None:
    one = np.ones(2)
    with pytest.raises(ValueError, match="target has 3 rows"):
        Log(reward=one, propensity=one, target=np.ones(3))
    with pytest.raises(ValueError, match="above 0"):
        Log(reward=one, propensity=np.zeros(2), target=one)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Log(reward=one, propensity=one, target=one * 2)
    with pytest.raises(ValueError, match="needs predicted"):
        doubly_robust(Log(reward=one, propensity=one, target=one))
    assert np.isnan(ips(Log(reward=np.ones(0), propensity=np.ones(0), target=np.ones(0))).value)
    assert np.isnan(snips(Log(reward=one, propensity=one, target=np.zeros(2))).value)
