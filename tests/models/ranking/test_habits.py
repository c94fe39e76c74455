"""Features of days, each where the right answer is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.ranking.habits import HABITS, HabitTables, habit_columns
from tests.evaluate.shops import shop

LEAF = np.array([0, 0, 1, -1], np.int32)


def told(histories: Histories, item: list[int], owner: list[int]) -> list[dict[str, float]]:
    """Features by name, one dictionary per candidate; nothing is known of the shop."""
    nothing = np.full(4, np.nan, np.float32)
    tables = HabitTables(returns=nothing, trend=nothing, lead=nothing)
    columns = habit_columns(
        tables, histories, LEAF, np.array(item, np.int32), np.array(owner, dtype=np.int64)
    )
    assert len(columns) == len(HABITS)
    return [dict(zip(HABITS, row, strict=True)) for row in np.stack(columns, axis=1).tolist()]


def test_days_of_an_item_and_of_its_leaf() -> None:
    # Twice on day 0, and on days 10, 40 and 100; on day 70 something else; the second history never had it.
    histories = Histories.of(
        [[0, 0, 0, 0, 2, 1, 0], [2]], days=[[0.1, 0.9, 10.5, 40.0, 70.0, 100.2, 100.4], [3.0]]
    )
    had, never, other, unknown = told(histories, [0, 3, 0, 1], [0, 0, 1, 0])
    assert (had["days_had"], had["days_had_30"], had["days_had_90"]) == (4, 1, 2)
    assert (had["days_ago"], had["visits_ago"], had["rate"]) == (0, 0, 4 / 5)
    assert (had["gap"], had["due"]) == (pytest.approx(100 / 3), 0)
    assert (had["leaf_times"], had["leaf_days_30"], had["loyalty"]) == (6, 1, pytest.approx(5 / 6))
    assert (had["repeat_share"], had["visits"], had["per_visit"]) == (pytest.approx(4 / 7), 5, 7 / 5)
    assert had["explores"] == pytest.approx(2 / 3)  # of days 70 and 100, items 2 and 1
    assert (never["days_had"], never["leaf_times"]) == (0, 0)  # of an unknown leaf
    assert np.isnan([never["days_ago"], never["rate"], never["gap"], never["due"], never["loyalty"]]).all()
    assert (other["days_had"], other["visits"]) == (0, 1)
    assert (unknown["days_had"], unknown["days_ago"], unknown["loyalty"]) == (1, 0, pytest.approx(1 / 6))
    assert np.isnan(unknown["gap"])  # one day has no next one


def test_how_long_ago_counts_from_the_newest_day() -> None:
    early, late = (Histories.of([[0, 0, 2]], days=[[0, 20, 50]], now=[now]) for now in (50.0, 900.0))
    [first], [second] = told(early, [0], [0]), told(late, [0], [0])
    assert (first["days_ago"], first["visits_ago"], first["due"]) == (30, 1, pytest.approx(1.5))
    np.testing.assert_equal(first, second)


def test_without_days_nothing_is_known() -> None:
    for histories in (Histories.of([[0, 0]]), Histories.of([[]])):
        assert np.isnan(list(told(histories, [0], [0])[0].values())).all()


def test_tables_count_who_comes_back_and_what_sells_lately() -> None:
    events = [(0, 0, 0.0), (0, 0, 0.5), (0, 0, 95.0), (0, 2, 99.0), (1, 0, 99.0), (1, 1, 100.0)]
    tables = HabitTables.of(shop(events, ["a > b", "a > b", "c > d", ""]), LEAF)
    usual = 5 / 4  # four pairs of a user and an item, on five days in all
    assert np.exp(tables.returns) == pytest.approx(
        (np.array([3, 1, 1, 0]) + 10 * usual) / (np.array([2, 1, 1, 0]) + 10)
    )
    assert tables.trend[0] == pytest.approx(np.log1p(2) - np.log1p(2 / 3))
    assert tables.lead.tolist() == [
        pytest.approx(3 / 4),
        pytest.approx(2 / 4),
        1.0,
        pytest.approx(np.nan, nan_ok=True),
    ]
    assert np.isnan(HabitTables.of(shop([(0, 0, None)], ["a", "b", "c", ""]), LEAF).returns).all()
