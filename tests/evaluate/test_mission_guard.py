"""The guard over cross-category slices: what it refuses, what it serves instead, and what it reports."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Floats
from crossaisle.evaluate.mission_guard import FEWEST, MISSION, mission_guard

N = 2000


def values(all_: float, novel: float, cross: float = 0.3, seed: int = 0) -> dict[str, Floats]:
    """Figures around some means. Half of the cases are in `novel_open`."""
    rng = np.random.default_rng(seed)
    means = {"all": all_, "novel_open": novel, "cross_open": cross}
    out = {name: (mean + 0.05 * rng.standard_normal(N)).astype(np.float32) for name, mean in means.items()}
    out["novel_open"][N // 2 :] = np.nan
    return out


SINGLES = {"popularity": values(0.1, 0.2, seed=1), "knn": values(0.2, 0.1, cross=0.2, seed=2)}


def test_what_wins_overall_but_loses_new_categories_does_not_serve() -> None:
    ruling = mission_guard({"ranker": values(0.5, 0.15), "mix": values(0.4, 0.21)}, SINGLES)
    assert ruling.chosen == "mix"
    assert ruling.price == pytest.approx(0.1, abs=5e-3)
    [short] = ruling.shortfalls["ranker"]
    assert (short.slice, short.single) == ("novel_open", "popularity")
    assert short.low < short.value - short.floor < short.high < 0
    assert 'ranker falls short: "Categories new to the customer, open list" 0.1' in ruling.statement
    assert f"mix serves, which costs {ruling.price:.4f} overall" in ruling.statement


def test_without_a_shortfall_the_best_overall_serves() -> None:
    ruling = mission_guard({"blend": values(0.3, 0.2), "ranker": values(0.5, 0.2)}, SINGLES)
    assert (ruling.chosen, ruling.price) == ("ranker", 0.0)
    assert "below no single model" in ruling.statement


def test_a_gap_within_the_interval_is_no_shortfall() -> None:
    rng = np.random.default_rng(5)
    floor, other = values(0.1, 0.2), values(0.3, 0.2)
    other["novel_open"] = (floor["novel_open"] - 0.01 + rng.standard_normal(N)).astype(np.float32)
    assert mission_guard({"ranker": other}, {"popularity": floor}).shortfalls == {"ranker": ()}


def test_if_all_fall_short_the_smallest_shortfall_serves_and_is_said() -> None:
    ruling = mission_guard({"blend": values(0.5, 0.05), "ranker": values(0.4, 0.15)}, SINGLES)
    assert ruling.chosen == "ranker"
    assert 'still short: "Categories new to the customer, open list"' in ruling.statement


def test_a_price_buys_the_better_mission_and_no_more_than_it_says() -> None:
    offers = {
        "blend": values(0.40, 0.21),
        "ranker": values(0.50, 0.22),
        "lifted": values(0.497, 0.30),
        "lifted far": values(0.45, 0.40),
    }
    assert mission_guard(offers, SINGLES).chosen == "ranker"
    ruling = mission_guard(offers, SINGLES, price=0.01)
    assert ruling.chosen == "lifted"
    assert 0 < ruling.price < 0.005
    assert "lifted serves, which costs 0.00" in ruling.statement
    assert 'and moves "Across categories, open list"' in ruling.statement


def test_where_the_floors_cost_more_than_the_price_nothing_more_is_paid() -> None:
    offers = {
        "ranker": values(0.50, 0.10),
        "lifted": values(0.480, 0.21),
        "lifted further": values(0.478, 0.40),
    }
    ruling = mission_guard(offers, SINGLES, price=0.01)
    assert ruling.chosen == "lifted"
    assert ruling.price == pytest.approx(0.02, abs=5e-3)


def test_what_is_too_dear_does_not_serve_whatever_it_keeps_to() -> None:
    offers = {"blend": values(0.5, 0.05), "mix": values(0.4, 0.3), "popular": values(0.1, 0.4)}
    assert mission_guard(offers, SINGLES).chosen == "mix"
    ruling = mission_guard(offers, SINGLES, limit=0.05)
    assert ruling.chosen == "blend"
    assert (
        'blend serves, although it falls short: "Categories new to the customer, open list"'
        in ruling.statement
    )


def test_a_slice_of_few_cases_decides_nothing() -> None:
    few = values(0.5, 0.0)
    few["novel_open"][FEWEST - 1 :] = np.nan
    assert mission_guard({"ranker": few}, SINGLES).shortfalls == {"ranker": ()}
    few["novel_open"][: FEWEST + 1] = 0.0
    assert mission_guard({"ranker": few}, SINGLES).shortfalls["ranker"]


def test_slices_of_the_mission_are_known_to_the_evaluation() -> None:
    assert {"cross_open", "novel_open", "novel_limited", "new_category", "cold_item"} < set(MISSION)
    with pytest.raises(ValueError, match="something to choose from"):
        mission_guard({}, SINGLES)
