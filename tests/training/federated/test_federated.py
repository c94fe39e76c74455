"""Shops learn together what none of them shows; one that lies is survived; what leaves a shop is bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.errors import ConfigError, DataError
from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Participant
from crossaisle.training.federated.personal import SHARES, beside, own_steps, personal
from crossaisle.training.federated.privacy import epsilon
from crossaisle.training.federated.server import combined, federate

D, ITEMS = 8, 60
TURN = np.roll(np.eye(D, dtype=np.float32), 1, axis=1)
"""In every shop, what follows an item lies one direction further."""
CONFIG = FederatedConfig(rounds=12, local_steps=10, users=60, negatives=30, learning_rate=0.3, seed=1)


def shop(seed: int, users: int = 80) -> tuple[Dataset, Floats]:
    """Items near the axes; after an item of axis a comes one of axis a + 1."""
    rng = np.random.default_rng(seed)
    axis = np.arange(ITEMS) % D
    vectors = np.eye(D, dtype=np.float32)[axis] + 0.1 * rng.normal(size=(ITEMS, D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    events = []
    for user in range(users):
        at = int(rng.integers(D))
        for day in range(2):
            item = int(rng.choice(np.flatnonzero(axis == (at + day) % D)))
            events.append((f"u{user}", f"i{item:02d}", f"2024-01-{day + 1:02d}"))
    items = pl.DataFrame(
        {"item_id": [f"i{i:02d}" for i in range(ITEMS)], "title": [f"item {i}" for i in range(ITEMS)]}
    )
    made = import_frames(
        items, pl.DataFrame(events, schema=["user_id", "item_id", "time"], orient="row")
    ).dataset
    return made, vectors[[int(name[1:]) for name in made.item_ids.ids(range(made.n_items))]]


def quality(adapter: Adapter, seed: int) -> float:
    """Share of a new shop's users whose best item lies on the right axis."""
    dataset, vectors = shop(seed)
    histories = dataset.histories()
    first = [histories.items_of(user)[:1] for user in range(len(histories))]
    best = adapter.score_rows(Histories.of(first), vectors).argmax(axis=1)
    came, wanted = vectors[best].argmax(axis=1), vectors[np.concatenate(first)].argmax(axis=1)
    return float(np.mean(came == (wanted + 1) % D))


@pytest.fixture(scope="module")
def shops() -> list[Participant]:
    return [Participant(*shop(seed), CONFIG) for seed in (1, 2, 3)]


class Sends:
    """A shop that sends what it is told to."""

    def __init__(self, update: Floats, size: int = 10) -> None:
        self.name, self.size, self._update = "liar", size, update

    def update(self, weights: Floats, number: int) -> Floats:
        return self._update


def test_what_was_learned_together_holds_in_a_shop_that_took_no_part(shops: list[Participant]) -> None:
    assert quality(Adapter.untrained(D), 9) < 0.1
    assert quality(federate(shops, CONFIG, dimensions=D).adapter, 9) > 0.9


@pytest.mark.parametrize("rule", ["median", "trimmed_mean"])
def test_a_poisoned_shop_is_survived(shops: list[Participant], rule: str) -> None:
    liar = Sends(-100 * (TURN - np.eye(D, dtype=np.float32)), size=1000)
    naive = replace(CONFIG, largest_update=0.0)
    assert quality(federate([*shops[:2], liar], naive, dimensions=D).adapter, 9) < 0.1
    robust = replace(CONFIG, rule=rule)  # type: ignore[arg-type]
    assert quality(federate([*shops[:2], liar], robust, dimensions=D).adapter, 9) > 0.8


def test_numbers_that_are_not_finite_are_left_out(shops: list[Participant]) -> None:
    said: list[str] = []
    liar = Sends(np.full((D, D), np.nan, np.float32))
    found = federate([*shops, liar], CONFIG, dimensions=D, say=said.append)
    assert np.isfinite(found.adapter.weights).all()
    assert said[0] == "liar: its update of round 1 has numbers that are not finite: left out"


def test_rules() -> None:
    updates = np.array([[[1.0]], [[2.0]], [[90.0]]], np.float32)
    sizes = np.array([1.0, 3.0, 4.0])
    assert combined(updates, sizes, "median", 0.0).item() == 2.0
    assert combined(updates, sizes, "trimmed_mean", 0.0).item() == 2.0
    assert combined(updates, sizes, "mean", 0.0).item() == pytest.approx((1 + 6 + 360) / 8)
    assert combined(updates, sizes, "mean", 2.0).item() == pytest.approx((1 + 6 + 16) / 8), "cut to twice 2"


def test_a_user_moves_a_step_by_no_more_than_the_clip() -> None:
    dataset, vectors = shop(4)
    config = replace(CONFIG, users=10_000, clip=0.5, local_steps=1, learning_rate=1.0)
    whole = Participant(dataset, vectors, config)
    weights = np.eye(D, dtype=np.float32)
    for user in range(5):
        one = Participant(dataset.with_events(dataset.events.user == user), vectors, config)
        sent = one.update(weights, 0)
        assert one.size == 1
        assert np.linalg.norm(sent) <= 0.5 + 1e-6
    assert np.linalg.norm(whole.update(weights, 0)) <= 0.5 + 1e-6


def test_noise_has_the_size_that_is_accounted_for() -> None:
    dataset, vectors = shop(5)
    quiet = replace(CONFIG, users=10_000, local_steps=1, learning_rate=1.0, clip=2.0)
    weights = np.eye(D, dtype=np.float32)
    loud = replace(quiet, noise=50.0)
    gap = [
        Participant(dataset, vectors, loud).update(weights, n)
        - Participant(dataset, vectors, quiet).update(weights, n)
        for n in range(12)
    ]
    expected = 50.0 * 2.0 / Participant(dataset, vectors, quiet).size
    rate = np.array([1.0 - 0.9 * n / CONFIG.rounds for n in range(12)])[:, None, None]
    assert np.std(np.array(gap) / rate) == pytest.approx(expected, rel=0.1)


def test_epsilon() -> None:
    assert epsilon(CONFIG, 1000, delta=1e-5) == float("inf")
    pytest.importorskip("dp_accounting", reason="needs pip install 'crossaisle[federated]'")
    known = FederatedConfig(rounds=100, local_steps=10, users=100, noise=1.0)
    # 1,000 steps, a hundredth of the users each, noise 1: 2.101 by Renyi accounting at delta 1e-5.
    assert epsilon(known, 10_000, delta=1e-5) == pytest.approx(2.101, abs=0.01)
    assert epsilon(replace(known, noise=2.0), 10_000, delta=1e-5) < epsilon(known, 10_000, delta=1e-5)


def test_what_cannot_be_is_said(shops: list[Participant]) -> None:
    with pytest.raises(ConfigError, match=r"^rule = 'median' needs 3 shops or more \(found 2\)$"):
        federate(shops[:2], replace(CONFIG, rule="median"), dimensions=D)
    with pytest.raises(ConfigError, match="no shop takes part"):
        federate([], CONFIG, dimensions=D)
    with pytest.raises(DataError, match=r"^liar: sent an update of shape \(1, 1\), not \(8, 8\)$"):
        federate([Sends(np.zeros((1, 1), np.float32))], CONFIG, dimensions=D)
    dataset, vectors = shop(6, users=1)
    with pytest.raises(DataError, match="nobody has two events"):
        Participant(dataset.with_events(np.arange(len(dataset.events.user)) < 1), vectors, CONFIG)


def test_own_steps_from_the_shared_map_on_beat_it_and_being_alone(shops: list[Participant]) -> None:
    dataset, vectors = shop(4)
    few = dataset.with_events(dataset.events.user < 8)

    def little(settings: FederatedConfig) -> Participant:
        return Participant(few, vectors, settings)

    config = replace(CONFIG, rounds=2)
    together = federate(shops, replace(CONFIG, rounds=3), dimensions=D).adapter
    alone = federate([little(config)], config, dimensions=D).adapter
    judged: list[float] = []

    def judge(adapter: Adapter) -> float:
        judged.append(quality(adapter, 9))
        return judged[-1]

    chosen = personal(little, together, alone, config, judge, rates=[0.3])
    assert len(judged) == 2 * len(SHARES)
    assert chosen.worth == max(judged) >= max(quality(together, 9), quality(alone, 9))
    np.testing.assert_array_equal(beside(together, alone, 1.0).weights, alone.weights)
    np.testing.assert_array_equal(beside(together, alone, 0.0).weights, together.weights)
    tuned = own_steps(little, together, config)
    slower = own_steps(little, together, replace(config, learning_rate=0.1))
    moved = [np.abs(one.weights - together.weights).max() for one in (tuned, slower)]
    assert moved[0] > 1.2 * moved[1] > 0
    histories = dataset.histories([0, 1])
    halves = (together.score_rows(histories, vectors) + alone.score_rows(histories, vectors)) / 2
    np.testing.assert_allclose(beside(together, alone, 0.5).score_rows(histories, vectors), halves, atol=1e-5)
