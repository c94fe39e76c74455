"""Expected calibration error where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.evaluate.probabilities.reliability import reliability


def test_right_chances_have_no_error_and_doubled_ones_have_their_size() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.0, 0.4, 200_000)
    right = rng.random(len(chance)) < chance
    assert reliability(chance, right).error < 0.004
    assert reliability(chance * 2, right).error == pytest.approx(0.2, abs=0.01)
    assert reliability(chance * 2, right).relative_error == pytest.approx(1.0, abs=0.05)


def test_weights_stand_for_copies() -> None:
    chance, right = np.array([0.1, 0.1, 0.8]), np.array([False, True, True])
    heavy = reliability(chance, right, np.array([9.0, 1.0, 10.0]), bins=2)
    copies = reliability(np.repeat(chance, [9, 1, 10]), np.repeat(right, [9, 1, 10]), bins=2)
    assert heavy.error == pytest.approx(copies.error)
    assert heavy.error == pytest.approx(0.5 * 0.0 + 0.5 * 0.2)


def test_nothing_has_no_error() -> None:
    assert reliability(np.empty(0), np.empty(0, bool)).error == 0.0
    assert reliability(np.empty(0), np.empty(0, bool)).error_by_chance == 0.0


@pytest.mark.parametrize(("n", "rate"), [(3000, 0.1), (18_000, 0.025)])
def test_right_probabilities_have_the_error_of_chance(n: int, rate: float):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(50):
        chance = rng.beta(2.0, 2.0 / rate - 2.0, n)
        found.append(reliability(chance, rng.random(n) < chance))
    expected = np.mean([one.error_by_chance for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(expected, rel=0.1)
