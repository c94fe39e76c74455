"""Confidence sequences: they hold at all times together, and an ordinary interval does not."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.evaluate.confidence_sequences import (
    FIRST,
    RARE,
    at_last,
    confidence_sequence,
    difference,
    difference_scores,
    seen_enough,
)

N, RUNS = 2000, 300


def test_confidence_sequences_hold_at_every_moment_and_ordinary_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    missed = ordinary = 0
    for _ in range(RUNS):
        x = (rng.random(N) < 0.3).astype(float)
        mean, low, high = confidence_sequence(x)
        missed += bool(((low > 0.3) | (high < 0.3)).any())
        n = np.arange(1, N + 1)
        half = 1.96 * np.sqrt(mean * (1 - mean) / n)
        ordinary += bool((abs(mean - 0.3) > half)[50:].any())
    assert missed / RUNS <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / RUNS)
    assert ordinary / RUNS > 0.2


def test_a_difference_is_found_and_unbiased() -> None:
    rng = np.random.default_rng(1)
    values, found, missed, null = [], 0, 0, 0
    for _ in range(RUNS):
        treated = rng.random(N) < 0.25
        outcome = (rng.random(N) < np.where(treated, 0.35, 0.25)).astype(float)
        scores = difference_scores(treated, outcome, 0.25)
        _, low, high = confidence_sequence(scores)
        missed += bool(((low > 0.1) | (high < 0.1)).any())
        values.append(at_last(scores).value)
        found += at_last(scores).decided
        same = difference_scores(treated, (rng.random(N) < 0.3).astype(float), 0.25)
        _, low, high = confidence_sequence(same)
        null += bool(((low > 0) | (high < 0)).any())
    assert abs(np.mean(values) - 0.1) < 4 * np.std(values) / np.sqrt(RUNS)
    limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / RUNS)
    assert missed / RUNS <= limit
    assert null / RUNS <= limit
    assert found / RUNS > 0.8


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.95])
def test_rare_goals_and_small_arms_find_no_difference_where_there_is_none(share: float, rate: float) -> None:
    rng, n, found = np.random.default_rng(4), 5000, 0
    for _ in range(RUNS):
        treated, outcome = rng.random(n) < share, (rng.random(n) < rate).astype(float)
        scores, enough = difference_scores(treated, outcome, share), seen_enough(outcome, treated)
        _, low, high = confidence_sequence(scores, enough=enough)
        found += bool(((low > 0) | (high < 0)).any())
    assert found / RUNS <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / RUNS)


def test_an_effect_waits_for_goals_on_both_sides() -> None:
    treated, outcome = np.arange(400) % 2 == 0, np.zeros(400)
    outcome[1::10] = 1.0  # forty of the others convert
    assert difference(treated, outcome, 0.5).high == np.inf
    outcome[: 20 * (RARE - 1) : 20] = 1.0
    assert difference(treated, outcome, 0.5).high == np.inf
    outcome[20 * (RARE - 1)] = 1.0
    assert difference(treated, outcome, 0.5).high < np.inf


def test_few_cases_and_none_say_nothing() -> None:
    assert not at_last([]).decided
    assert at_last(np.ones(FIRST - 1)).high == np.inf
    assert not at_last(np.ones(500)).decided  # no spread seen: none known
    assert at_last(np.random.default_rng(0).normal(1.0, 1.0, 200)).decided
