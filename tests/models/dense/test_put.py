"""`put` does what an assignment to a mask does."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.models.dense.put import put


@pytest.mark.parametrize("value", [0.0, -np.inf, np.nan, 1.5, -0.0])
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 1000)])
def test_put_equals_assignment_by_mask(value: float, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=shape).astype(np.float32)
    scores[rng.random(shape) < 0.2] = np.nan
    where = rng.random(shape) < 0.5
    expected = scores.copy()
    expected[where] = value
    put(scores, value, where)
    np.testing.assert_array_equal(scores, expected)
    assert (np.signbit(scores) == np.signbit(expected)).all()


def test_rows_and_every_second_column() -> None:
    """Writing to a view changes the array."""
    scores = np.ones((4, 6), np.float32)
    where = np.zeros((4, 6), bool)
    where[1:3, 2] = True
    put(scores[1:3], 9.0, where[1:3])
    assert scores[1:3, 2].tolist() == [9.0, 9.0]
    put(scores[:, ::2], 0.0, where[:, ::2])
    assert scores.sum() == 24 - 2
