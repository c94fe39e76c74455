import numpy as np
import pytest

from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import basket_split, leave_last_out, split, temporal_split
from crossaisle.errors import ConfigError, DataError
from tests.evaluate.shops import random_shop, shop

PATHS = ["A>x", "A>y", "B>z", "B>w", "", "C>v"]


def plain(cases: EvalCases) -> dict[int, tuple[list[int], list[int]]]:
    """user -> (history, targets)."""
    return {
        int(cases.histories.user[i]): (cases.histories.items_of(i).tolist(), cases.targets_of(i).tolist())
        for i in range(len(cases))
    }


def test_temporal_windows_histories_and_cold_users():
    events = [(0, 0, 0), (0, 1, 75), (0, 2, 95), (0, 2, 96), (1, 3, 10), (1, 3, 80), (2, 5, 99), (3, 0, 50)]
    made = temporal_split(shop(events, PATHS), test_from="1970-04-01", validation_from="1970-03-12")
    assert plain(made.test) == {0: ([0, 1], [2]), 2: ([], [5])}  # user 2 is cold and kept
    assert plain(made.validation) == {0: ([0], [1]), 1: ([3], [3])}
    assert (made.test.histories.now == 90).all()
    assert (made.validation.histories.now == 70).all()
    assert len(made.train.events) == 3
    assert len(made.past.events) == 5
    assert not made.test.mask_seen  # half of the validation targets are repeats
    assert "50% of the validation targets are repeats" in made.notes[1]


def test_temporal_default_is_the_last_twelfth_in_whole_days():
    made = temporal_split(random_shop(0))
    assert made.test.histories.now[0] == 109
    assert made.validation.histories.now[0] in (97, 98)
    assert made.test.histories.day.max() < 109
    assert made.past.events.time is not None
    assert made.past.events.time.max() < 109 * 86_400


def test_temporal_without_repeats_masks_the_history():
    made = temporal_split(shop([(0, i, i * 10) for i in range(6)], PATHS), fraction=0.2)
    assert made.test.mask_seen
    assert made.validation.mask_seen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_from": "soon"}, "'soon' is not a date: write it as 2017-12-01"),
        ({"test_from": "2001-01-01"}, "the data runs from 1970-01-01 to"),
        ({"fraction": 0.9}, "fraction must lie between 0 and 0.5"),
    ],
)
def test_temporal_refuses(options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        temporal_split(random_shop(0), **options)


def test_temporal_needs_times():
    with pytest.raises(DataError, match="needs event times"):
        temporal_split(shop([(0, 0, None)], PATHS))


def test_leave_last_out():
    events = [(0, 0, None), (0, 1, None), (0, 2, None), (1, 3, None), (1, 4, None)]
    events += [(3, 5, None), (3, 0, None), (3, 5, None), (3, 1, None)]
    made = leave_last_out(shop(events, PATHS))
    assert plain(made.test) == {0: ([0, 1], [2]), 3: ([5, 0, 5], [1])}
    assert plain(made.validation) == {0: ([0], [1]), 3: ([5, 0], [5])}
    assert len(made.past.events) == 7
    assert len(made.train.events) == 5
    assert made.test.mask_seen
    assert np.isnan(made.test.histories.now).all()
    assert made.notes == ("1 users with fewer than three events are used for training only",)


def test_leave_last_out_knows_the_moment_of_the_query():
    made = leave_last_out(shop([(0, 0, 1), (0, 1, 2), (0, 2, 3)], PATHS))
    assert made.test.histories.now.tolist() == [3.0]
    assert made.validation.histories.now.tolist() == [2.0]


def baskets(n: int = 50) -> list[tuple[int, int, None]]:
    # Every basket: two of A around one of B, and one item without a category.
    return [(b, i, None) for b in range(n) for i in (0, 2, 1, 4)]


def test_basket_split_asks_across_categories():
    made = basket_split(shop(baskets(), PATHS, users_are_baskets=True), test=10)
    assert len(made.test) == len(made.validation) == 10
    assert made.test.other_categories_only
    for case in range(10):
        assert made.test.histories.items_of(case).tolist() == [0, 1]
        assert made.test.targets_of(case).tolist() == [2]  # the unknown category is no target
    held = {40 * 4, 30 * 4}
    assert {len(made.past.events), len(made.train.events)} == held
    again = basket_split(shop(baskets(), PATHS, users_are_baskets=True), test=10)
    assert np.array_equal(again.train.events.user, made.train.events.user)
    other = basket_split(shop(baskets(), PATHS, users_are_baskets=True), test=10, seed=1)
    assert not np.array_equal(other.train.events.user, made.train.events.user)


def test_basket_split_counts_baskets_without_a_rest():
    events = [(b, i, None) for b in range(20) for i in (0, 1)]
    made = basket_split(shop(events, PATHS, users_are_baskets=True))
    assert len(made.test) == 0
    assert made.notes[0] == (
        "test: 4 baskets held out (seed 0), 4 of them without an item of another category"
    )


def test_baskets_of_known_users_keep_time():
    events = [(u, i, u + i / 10) for u in range(10) for i in (0, 2)]
    made = basket_split(shop(events, PATHS, baskets=[u for u in range(10) for _ in (0, 2)]), test=2)
    assert made.test.histories.user.tolist() == [-1, -1]
    assert np.array_equal(made.test.histories.now, made.test.histories.day)


def test_auto_takes_what_the_data_allows():
    assert split(random_shop(0)).protocol == "temporal"
    assert split(shop([(0, i, None) for i in range(3)], PATHS)).protocol == "leave_last_out"
    assert split(shop(baskets(), PATHS, users_are_baskets=True), test=5).protocol == "baskets"
    with pytest.raises(ConfigError, match="did you mean 'temporal'"):
        split(random_shop(0), "temporl")


@pytest.mark.parametrize("seed", range(5))
def test_nothing_of_the_future_is_in_a_history(seed: int):
    data = random_shop(seed)
    made = temporal_split(data)
    pairs = {(u, i) for u, i in zip(data.events.user.tolist(), data.events.item.tolist(), strict=True)}
    for cases in (made.validation, made.test):
        day = cases.histories.day
        assert (day < np.repeat(cases.histories.now, cases.histories.lengths)).all()
        for user, (_, targets) in plain(cases).items():
            assert len(set(targets)) == len(targets) > 0
            assert all((user, t) in pairs for t in targets)
