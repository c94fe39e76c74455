"""Confidence sequences: they hold at all times together, and an ordinary interval does not."""

from __future__ import annotations

import numpy as np

from crossaisle.evaluate.confidence_sequences import FIRST, at_last, confidence_sequence, difference_scores

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


def test_few_cases_and_none_say_nothing() -> None:
    assert not at_last([]).decided
    assert at_last(np.ones(FIRST - 1)).high == np.inf
    assert not at_last(np.ones(500)).decided  # no spread seen: none known
    assert at_last(np.random.default_rng(0).normal(1.0, 1.0, 200)).decided
