from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.taxonomy import Taxonomy
from crossaisle.errors import UnknownIdError
from crossaisle.recommend.rerank.diversify import PathSimilarity
from crossaisle.recommend.rerank.filters import in_categories, in_items, in_price_band, of_placement
from crossaisle.recommend.rerank.share import HOME_COVERAGE, auto_share, home_categories, is_cross, share_cap

CODES = np.array([0, 0, 1, 1, 2, -1], np.int32)
NONE = np.empty(0, np.int32)


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_placements_decide_who_may_be_shown() -> None:
    assert of_placement("for_you", CODES, rows(0), NONE).all()
    assert np.flatnonzero(of_placement("discover", CODES, rows(0, 5), NONE)).tolist() == [2, 3, 4]
    assert np.flatnonzero(of_placement("goes_with", CODES, NONE, rows(2))).tolist() == [0, 1, 4]
    assert np.flatnonzero(of_placement("similar", CODES, NONE, rows(2))).tolist() == [0, 1, 3, 4, 5]
    assert np.flatnonzero(of_placement("buy_again", CODES, rows(3, 3, 1), NONE)).tolist() == [1, 3]


def test_categories_by_name_at_any_depth() -> None:
    paths = ((("Dairy", "Milk"),), (("Dairy", "Cheese"),), (("Bakery",), ("Gifts",)), ())
    taxonomy = Taxonomy(paths)
    assert in_categories(taxonomy, [], []).all()
    assert in_categories(taxonomy, ["dairy"], ["Dairy > Milk"]).tolist() == [False, True, False, False]
    assert in_categories(taxonomy, ["milk", "gifts"], []).tolist() == [True, False, True, False]
    with pytest.raises(UnknownIdError, match="unknown category 'Diary'") as found:
        in_categories(taxonomy, ["Diary"], [])
    assert found.value.hint == " (did you mean 'Dairy'?)"


def test_items_by_row() -> None:
    assert in_items(None, NONE, 4).all()
    assert in_items(None, rows(1, 1), 4).tolist() == [True, False, True, True]
    assert in_items(rows(1, 2), rows(2, 3), 4).tolist() == [False, True, False, False]
    assert not in_items(NONE, NONE, 4).any()


@given(
    st.lists(st.floats(0, 100, width=32) | st.just(np.nan), max_size=20), st.floats(0, 50), st.floats(50, 100)
)
def test_price_bands_hold(prices: list[float], low: float, high: float) -> None:
    array = np.array(prices, np.float32)
    kept = array[in_price_band(array, low, high)]
    assert ((kept >= np.float32(low)) & (kept <= np.float32(high))).all()
    assert in_price_band(array, None, None).all()


def test_a_price_equal_to_the_bound_is_inside() -> None:
    price = np.array([9.99], np.float32)
    assert in_price_band(price, 9.99, 9.99).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_home_is_the_smallest_set_that_covers(history: list[int]) -> None:
    seen = CODES[history]
    home = home_categories(CODES, np.array(history, np.int32))
    known = seen[seen >= 0]
    if len(known):
        covered = np.isin(known, home).mean()
        assert covered >= HOME_COVERAGE - 1e-6
        counts = sorted((int((known == c).sum()) for c in set(known.tolist())), reverse=True)
        assert sum(counts[: len(home) - 1]) < HOME_COVERAGE * len(known) - 1e-6 or len(home) == 1
    else:
        assert len(home) == 0
    assert not is_cross(CODES, home)[CODES < 0].any()


def test_of_equally_frequent_categories_the_newest_is_home_first() -> None:
    codes = np.arange(10, dtype=np.int32)
    assert home_categories(codes, np.arange(10, dtype=np.int32)).tolist() == [9, 8, 7, 6, 5, 4, 3, 2]


@given(st.lists(st.integers(0, 5), max_size=60))
def test_auto_share_is_a_share(history: list[int]) -> None:
    assert 0.0 <= auto_share(CODES, np.array(history, np.int32)) <= 1.0


def test_auto_share_follows_the_history() -> None:
    codes = np.repeat(np.arange(5, dtype=np.int32), 20)
    faithful, curious = np.arange(20), np.concatenate([np.tile(np.arange(10), 9), [21, 22, 41, 42, 61, 62]])
    assert auto_share(codes, faithful.astype(np.int32)) < 0.1
    assert auto_share(codes, curious.astype(np.int32)) > 0.3
    assert auto_share(codes, NONE) == pytest.approx(1 - HOME_COVERAGE)


@pytest.mark.parametrize(("share", "outside"), [(0.0, 0), (0.25, 3), (0.24, 2), (0.5, 5), (1.0, 10)])
def test_share_of_ten(share: float, outside: int) -> None:
    assert share_cap(np.array([False, True]), share, 10).limits.tolist() == [10 - outside, outside]


def test_path_similarity_counts_shared_levels() -> None:
    paths = ((("A", "B"),), (("A", "C"),), (("D",),), ())
    similar = PathSimilarity(Taxonomy(paths))(rows(0, 3), rows(0, 1, 2, 3))
    np.testing.assert_allclose(similar, [[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
