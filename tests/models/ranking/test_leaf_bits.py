"""Leaves found with bit masks are those LightGBM reaches: scores are equal, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossaisle.models.ranking.leaf_bits import BLOCK, LeafBits
from crossaisle.models.ranking.tree_text import canonical

lightgbm: Any = pytest.importorskip("lightgbm")
NAMES = ["plain", "whole", "holes", "wide", "same"]


def rows(n: int, seed: int = 0) -> np.ndarray:
    """float32 (n, 5): numbers, whole ones, many NaN, NaN and 0, always the same."""
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(n, len(NAMES)))
    out[:, 1] = rng.integers(-3, 4, n)
    out[rng.random(n) < 0.3, 2] = np.nan
    out[:, 3] = np.exp(9 * out[:, 3])
    out[rng.random(n) < 0.2, 3] = np.nan
    out[rng.random(n) < 0.2, 3] = 0.0
    out[:, 4] = 7.0
    return out.astype(np.float32)


def grown(leaves: int, **settings: Any) -> str:
    """Trees whose splits depend on every feature, and on what is missing."""
    given = rows(3000)
    label = np.nansum(given[:, :2], axis=1) + np.isnan(given[:, 2]) - 2.0 * (given[:, 3] == 0)
    label += np.isnan(given[:, 3]) + np.random.default_rng(1).normal(size=len(given))
    table = lightgbm.Dataset(given, label=label, feature_name=NAMES, params={"verbosity": -1, **settings})
    told = {"num_leaves": leaves, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1, "seed": 0}
    text: str = lightgbm.train({"objective": "regression", **told, **settings}, table, 12).model_to_string()
    return canonical(text, NAMES)


@pytest.mark.parametrize("leaves", [2, 15, 16, 17, 33, 64])
@pytest.mark.parametrize("settings", [{}, {"zero_as_missing": True}, {"use_missing": False}])
def test_scores_are_those_of_lightgbm(leaves: int, settings: dict[str, Any]) -> None:
    text = grown(leaves, **settings)
    found = LeafBits.read(text)
    assert found is not None
    asked = np.concatenate(
        [rows(2 * BLOCK + 3, seed=5), np.float32([[np.inf] * 5, [-np.inf] * 5, [np.nan] * 5])]
    )
    expected = lightgbm.Booster(model_str=text).predict(asked, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(found.predict(asked), expected)


def test_a_threshold_holds_for_its_own_value_and_not_for_the_next_one() -> None:
    """Thresholds are rounded to float32: never to a number that is larger."""
    text = grown(15)
    found = LeafBits.read(text)
    assert found is not None
    asked = rows(4 * BLOCK, seed=6)
    for feature in range(len(NAMES)):
        known = np.unique(found.threshold[found.column // 5 == feature])
        known = known[(np.abs(known) < 1e30) & (np.abs(known) > 1e-30)]
        if len(known):
            near = np.concatenate([known, np.nextafter(known, np.float32(np.inf))])
            asked[:, feature] = np.random.default_rng(2).choice(near, len(asked))
    expected = lightgbm.Booster(model_str=text).predict(asked, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(found.predict(asked), expected)


def test_trees_of_more_leaves_than_bits_are_left_to_lightgbm() -> None:
    assert LeafBits.read(grown(65)) is None


def test_a_tree_of_one_leaf_and_no_rows() -> None:
    text = grown(15, min_gain_to_split=1e9)
    found = LeafBits.read(text)
    assert found is not None
    expected = lightgbm.Booster(model_str=text).predict(rows(5), raw_score=True)
    np.testing.assert_array_equal(found.predict(rows(5)), expected)
    assert found.predict(rows(0)).shape == (0,)
