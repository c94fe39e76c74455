"""Tree files: what LightGBM wrote is accepted, and nothing that would make it read outside its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.errors import ArtifactError
from crossaisle.models.ranking.trees import Trees
from tests.models.ranking.tree_fuzz import NAMES

lightgbm: Any = pytest.importorskip("lightgbm")
ROWS = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
ROWS[::7, 1] = np.nan


@pytest.fixture(scope="module")
def written() -> str:
    """What LightGBM writes: two trees of several leaves."""
    label = ROWS[:, 0] + np.random.default_rng(1).normal(size=len(ROWS)) > 0.5
    table = lightgbm.Dataset(ROWS, label=label, feature_name=["blend", "part.knn"])
    settings = {"objective": "binary", "num_leaves": 6, "verbosity": -1, "num_threads": 1, "seed": 0}
    text: str = lightgbm.train(settings, table, num_boost_round=2).model_to_string()
    return text


def test_the_same_trees_come_out(written: str) -> None:
    trees = Trees.read(written, NAMES)
    expected = lightgbm.Booster(model_str=written).predict(ROWS, raw_score=True).astype(np.float32)
    np.testing.assert_array_equal(trees.predict(ROWS), expected)
    assert Trees.read(trees.text, NAMES).text == trees.text


def test_a_split_between_known_and_unknown_is_read() -> None:
    """LightGBM writes its threshold as `inf`."""
    label = np.isnan(ROWS[:, 1])
    table = lightgbm.Dataset(ROWS, label=label, feature_name=["blend", "part.knn"])
    settings = {"objective": "binary", "num_leaves": 2, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(settings, table, num_boost_round=1).model_to_string()
    assert "threshold=inf\n" in text
    scores = Trees.read(text, NAMES).predict(ROWS)
    assert scores[label].min() > scores[~label].max()


@pytest.mark.parametrize("objective", ["lambdarank", "binary"])
def test_trees_of_a_single_leaf_predict_a_constant_and_are_read(objective: Any) -> None:
    grown = Trees.grow(
        np.ones((200, 2), np.float32),
        np.arange(200) % 100 == 0,
        np.full(2, 100),
        NAMES,
        objective=objective,
        directions=[1, 0],
        trees=2,
    )
    assert len(set(grown.predict(ROWS).tolist())) == 1
    assert Trees.read(grown.text, NAMES).text == grown.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("split_feature=0", "split_feature=7", "feature 7 of 2 in split_feature in Tree=0"),
        ("left_child=", "left_child=7", "leads from split 0 to 7"),
        ("right_child=", "right_child=0 ", "6 numbers, not 5, in right_child"),
        ("num_cat=0", "num_cat=1", "other splits or leaves than numbers in Tree=0"),
        ("is_linear=0", "is_linear=1", "other splits or leaves than numbers in Tree=0"),
        ("num_leaves=6", "num_leaves=7", "5 numbers, not 6, in split_feature in Tree=0"),
        ("num_leaves=6", "num_leaves=2000000000", "not 1 to 1,024"),
        ("num_class=1", "num_class=3", "says num_class='3', not 1"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "not 1"),
        ("max_feature_idx=1", "max_feature_idx=900", "says max_feature_idx='900', not 1"),
        ("tree_sizes=", "tree_sizes=1 ", "holds 2 trees, and its header says 3"),
        ("tree_sizes=", "average_output\ntree_sizes=", "a line too many ('average_output')"),
        ("label_index=0", "label_index=0\rnum_class=9", "holds the character '\\r'"),
        ("Tree=1\n", "Tree=7\n", "has 'Tree=7' in place of Tree=1"),
        ("Tree=1\n", "Tree=1\nnum_leaves=3\n", "a line too many ('num_leaves=6')"),
        ("decision_type=", "decision_type=1 ", "numbers, not 5, in decision_type"),
        ("threshold=", "threshold=nan ", "6 numbers, not 5, in threshold"),
        ("feature_names=blend part.knn", "feature_names=part.knn blend", "read other features"),
        ("end of trees", "end of tree", "has no line 'end of trees'"),
        ("tree\n", "linear\n", "begins with 'linear'"),
        ("shrinkage=", "shrinkage=x", "says shrinkage='x"),
    ],
)
def test_what_disagrees_is_refused_in_one_line(written: str, old: str, new: str, message: str) -> None:
    assert old in written
    with pytest.raises(ArtifactError) as caught:
        Trees.read(written.replace(old, new, 1), NAMES)
    said = str(caught.value)
    assert message in said
    assert said.endswith(": fit again")
    assert "\n" not in said


def test_wrong_tree_sizes_in_a_file_are_recomputed(written: str) -> None:
    """The sizes in the file are ignored."""
    line = next(line for line in written.split("\n") if line.startswith("tree_sizes="))
    wrong = written.replace(line, "tree_sizes=1 99999999")
    assert Trees.read(wrong, NAMES).text == Trees.read(written, NAMES).text


@pytest.mark.slow
def test_no_change_of_a_text_kills_the_process(written: str, tmp_path: Path) -> None:
    file = tmp_path / "trees.txt"
    file.write_bytes(written.encode())
    command = [sys.executable, "-m", "tests.models.ranking.tree_fuzz", str(file), "400"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    accepted, refused = map(int, done.stdout.split())
    assert accepted > 10
    assert refused > 100
