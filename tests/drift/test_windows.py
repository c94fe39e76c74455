import json

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.split import temporal_split
from crossaisle.drift.measures import psi, verdict
from crossaisle.drift.windows import drift
from tests.evaluate.shops import shop


def test_psi_by_hand():
    # Smoothed by a half in each of two bins: shares .5/.5 and .75/.25 exactly.
    assert psi(np.array([50, 50]), np.array([75, 24]) + np.array([0, 1])) == pytest.approx(
        (75.5 / 101 - 0.5) * np.log(75.5 / 50.5) + (25.5 / 101 - 0.5) * np.log(25.5 / 50.5)
    )
    assert psi(np.array([10, 20]), np.array([10, 20])) == 0.0
    assert np.isfinite(psi(np.array([10, 0]), np.array([0, 10])))


@pytest.mark.parametrize(
    ("value", "word"),
    [(0.0, "stable"), (0.0999, "stable"), (0.1, "moderate"), (0.2499, "moderate"), (0.25, "drift")],
)
def test_verdict(value: float, word: str):
    assert verdict(value) == word


def season(winter: float, *, prices: bool = True, paths: tuple[str, str] = ("Garden", "Toys")) -> Dataset:
    """One event a day by each of 100 users over 100 days; toys are a tenth, after day 80 `winter`."""
    rng = np.random.default_rng(0)
    events = [
        (user, int(rng.random() < (winter if day >= 80 else 0.1)), float(day))
        for user in range(100)
        for day in range(100)
    ]
    return shop(events, list(paths), prices=[5.0, 20.0] if prices else None)


def split_of(data: Dataset):
    return temporal_split(data, test_from="1970-03-22", validation_from="1970-03-02")


def test_a_change_of_season_is_said_aloud():
    data = season(0.5)
    found = drift(data, split_of(data))
    assert found["categories"]["validation"]["verdict"] == "stable"
    assert found["categories"]["test"]["verdict"] == "drift"
    assert found["prices"]["test"]["verdict"] == "drift"
    assert {m["name"] for m in found["categories"]["test"]["movers"]} == {"Garden", "Toys"}
    assert "Categories in test have drifted (PSI" in found["statement"]
    assert "stable: categories in validation, prices in validation" in found["statement"]
    json.dumps(found, allow_nan=False)


def test_no_change():
    data = season(0.1)
    found = drift(data, split_of(data))
    assert found["statement"] == "No drift: validation and test look like training."
    assert found["categories"]["test"]["events"] == 2000


def test_a_small_shop_does_not_cry_wolf():
    rng = np.random.default_rng(1)
    events = [(u, int(rng.integers(0, 40)), float(d)) for u in range(3) for d in range(0, 100, 2)]
    data = shop(events, [f"c{i}" for i in range(40)])
    found = drift(data, split_of(data))["categories"]["test"]
    assert found["psi"] > 0.25  # forty categories, thirty events: chance alone gives this much
    assert found["verdict"] == "stable"


def test_without_prices_or_categories():
    data = season(0.5, prices=False)
    assert set(drift(data, split_of(data))) == {"categories", "statement"}
    bare = season(0.5, prices=False, paths=("", ""))
    assert drift(bare, split_of(bare)) == {"statement": "Drift was not measured."}
