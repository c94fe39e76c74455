"""Batches of cases: all rows once, and few at a time where a shop has many items."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.models.dense.batches import CELLS, batches


@pytest.mark.parametrize("n", [0, 1, 5, 300])
@pytest.mark.parametrize("n_items", [0, 1, CELLS // 128, CELLS // 3, CELLS, 3 * CELLS])
def test_every_row_is_in_one_batch_of_bounded_size(n: int, n_items: int) -> None:
    found = list(batches(n, n_items, 128))
    np.testing.assert_array_equal(np.concatenate([np.empty(0, int), *found]), np.arange(n))
    assert all(1 <= len(rows) <= 128 for rows in found)
    assert all(len(rows) * n_items <= CELLS for rows in found if len(rows) > 1)


def test_shops_of_up_to_so_many_items_have_whole_batches() -> None:
    assert [len(rows) for rows in batches(300, CELLS // 128, 128)] == [128, 128, 44]
