"""Equal keys, found by sorting, beside what numpy finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.distinct import distinct, run_starts

KEYS = st.lists(st.integers(-3, 3), max_size=30)


@given(KEYS)
def test_keys_once_each_and_where_they_are(keys: list[int]) -> None:
    given_keys = np.array(keys, np.int64)
    values, place = distinct(given_keys)
    expected, inverse = np.unique(given_keys, return_inverse=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(place, inverse)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30))
def test_a_run_begins_where_either_key_changes(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array([pair[at] for pair in pairs], np.int64) for at in (0, 1))
    expected = [at == 0 or pairs[at] != pairs[at - 1] for at in range(len(pairs))]
    assert run_starts(one, other).tolist() == expected
