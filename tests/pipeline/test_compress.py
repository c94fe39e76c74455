from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle import cli
from crossaisle.config import SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import CATALOGUES, Catalogue
from crossaisle.data.ingest.importer import Imported
from crossaisle.encoders.compact import CompactVectors
from crossaisle.errors import ConfigError
from crossaisle.pipeline import compress as compressing
from crossaisle.pipeline.compress import Questions, compress

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")

from tests.training.conftest import tiny_bert

SPLIT = SplitConfig(protocol="leave_last_out")


def test_quality_counts_targets_among_unseen_items(shop: Dataset) -> None:
    questions = Questions.of(shop, SPLIT, rng=np.random.default_rng(0))
    n = len(questions.cases)
    vectors = np.eye(shop.n_items, 16, dtype=np.float32)
    # Each case's target is given its history's vector: always first once the history is taken out.
    found = new = 0.0
    for case in range(n):
        one = Questions(questions.texts, questions.queries[[case]], questions.cases.take(np.array([case])))
        moved = vectors.copy()
        direction = np.asarray(one.queries @ vectors).ravel()
        moved[one.cases.target] = direction / np.linalg.norm(direction)
        found += one.ndcg(moved)
        new += not np.isin(one.cases.target, one.queries.indices).any()
        assert one.ndcg(moved, CompactVectors.of(moved, "int8")) == one.ndcg(moved)
    assert found == new > 0  # what was bought before is no candidate
    assert questions.ndcg(vectors) < 1


@pytest.mark.slow
def test_each_method_gives_a_folder_and_a_row(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_bert(tmp_path / "bert")
    imported = Imported(shop, {}, None)  # type: ignore[arg-type]
    monkeypatch.setattr(compressing, "load_catalogue", lambda *_, **__: imported)
    catalogue = Catalogue(
        name="shop", size="", origin="", terms="", files=(), split=SPLIT, tables=lambda _: {}
    )
    monkeypatch.setitem(CATALOGUES, "shop", catalogue)
    out = tmp_path / "small"
    line = ["compress", str(model), "--on", "shop", "--out", str(out), "--layers", "1", "--steps", "3"]
    assert cli.run([*line, "--method", "layers", "--method", "static", "--method", "vectors"]) == 0
    assert "static, 16-d" in capsys.readouterr().out
    rows = json.loads((out / "compression.json").read_text())
    assert [row["variant"] for row in rows[:4]] == [
        "float32 in torch",
        "1 layers, as cut",
        "1 layers, distilled, int8",
        "static, 16-d",
    ]
    assert rows[0]["share"] == 1
    assert {row["split"] for row in rows} == {"validation"}
    assert rows[2]["megabytes"] < rows[0]["megabytes"] + 1
    assert sorted(p.name for p in out.iterdir()) == [
        "compression.json",
        "layers-1",
        "layers-1-torch",
        "static",
    ]


def test_the_shop_may_be_a_configuration(shop_events: pl.DataFrame, tmp_path: Path) -> None:
    shop_events.write_csv(tmp_path / "events.csv")
    file = tmp_path / "shop.toml"
    file.write_text('[data.events]\npath = "events.csv"\n[split]\nprotocol = "leave_last_out"\n')
    model = tiny_bert(tmp_path / "bert")
    rows = compress(str(model), tmp_path / "small", on=str(file), methods=["vectors"])
    assert rows[0]["variant"] == "float32 in torch"
    assert rows[-1]["variant"] == "vectors: binary, codes only"


def test_unknown_methods_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown method 'int4' \(did you mean 'int8'\?\)"):
        compress("minilm-torch", tmp_path, on="s3rec-beauty", methods=["int4"])
