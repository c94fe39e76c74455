"""Popularity in a category without a past."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from crossaisle.models.scorers.cold_start.cold_prior import PRIOR, opening_popularity

# Items 0 to 2 have been sold for long; 3 to 6 are new. 3 and 4 resemble what sells well, 5 what does not.
KERNEL = sparse.csr_matrix(
    np.array(
        [
            *([[0.0] * 7] * 3),
            [0.9, 0, 0, 0, 0, 0, 0],
            [0.9, 0, 0, 0.5, 0, 0, 0],
            [0, 0, 0.9, 0, 0.1, 0, 0],
            [0.0] * 7,
        ]
    )
)
INSIDE = np.arange(7) >= 3
BEFORE = np.array([500, 100, 4, 0, 0, 0, 0])


def test_without_events_what_sells_nearby_decides() -> None:
    found = opening_popularity(KERNEL, INSIDE, BEFORE)
    assert found.dtype == np.float32
    assert found[3] == pytest.approx(found[4], rel=1e-5)  # what lies inside lends nothing: it has no past
    assert found[3] > found[5] > found[6]
    assert found[INSIDE].std() == pytest.approx(1.0, rel=1e-5)


def test_the_first_event_counts_at_once() -> None:
    found = opening_popularity(KERNEL, INSIDE, BEFORE + (np.arange(7) == 6))
    assert found[6] < found[3]  # most of the prior says otherwise
    some = opening_popularity(KERNEL, INSIDE, BEFORE + int(2 * PRIOR) * (np.arange(7) == 6))
    assert some[6] == max(some[INSIDE])


def test_with_many_events_only_they_count() -> None:
    many = BEFORE + np.array([0, 0, 0, 1000, 8000, 4000, 2000])
    found = opening_popularity(KERNEL, INSIDE, many)
    assert (np.argsort(-found[3:]) == [1, 2, 3, 0]).all()
    steps = np.diff(found[[3, 6, 5, 4]])
    np.testing.assert_allclose(steps / steps[0], 1.0, rtol=0.01)  # doublings are equal steps
    assert found[4] > found[0]  # it sells more than anything elsewhere


def test_a_category_of_equals_is_no_division_by_nothing() -> None:
    found = opening_popularity(sparse.csr_matrix((7, 7)), INSIDE, np.zeros(7, np.int64))
    assert np.isfinite(found).all()
