"""Labels, features and drift from the command line, on a shop in files."""

import json
from pathlib import Path

import polars as pl
import pytest

from crossaisle import cli


def test_labels(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    people = tmp_path / "people.csv"
    people.write_text("item_a,item_b,label,annotator\nmilk0,bread0,0,ann\nmilk0,bread0,0,bob\n")
    command = [
        "labels",
        str(shop),
        "--out",
        str(tmp_path / "labels"),
        "--least",
        "1",
        "--people",
        str(people),
    ]
    assert cli.run([*command, "--negatives", "category"]) == 0
    out = capsys.readouterr().out
    assert "pairs" in out
    assert "ann and bob: kappa 1.00 over 1 pairs" in out
    frame = pl.read_parquet(tmp_path / "labels" / "pairs.parquet")
    assert set(frame["label"]) == {0, 1}
    assert cli.run([*command, "--negatives", "worst"]) == 2
    assert "--negatives must be one of uniform, popularity, category, seen (found 'worst')" in (
        capsys.readouterr().err
    )
    assert cli.run([*command, "--per-positive", "101"]) == 2
    assert "--per-positive must be at most 100" in capsys.readouterr().err
    for wrong in ("pairs.parquet", "people.csv"):  # one that is not there, and one that is a file
        assert cli.run(["labels", str(shop), "--out", str(tmp_path / wrong)]) == 2
        assert f"{wrong}: name a folder: there are several tables" in capsys.readouterr().err


@pytest.mark.slow
def test_features(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = [
        "features",
        str(shop),
        "--out",
        str(tmp_path / "features"),
        "--encoder",
        "none",
        "--users",
        "60",
    ]
    assert cli.run(command) == 0
    out = capsys.readouterr().out
    assert "loss of AUC" in out
    facts = json.loads((tmp_path / "features" / "features.json").read_text())
    kept = facts["selection"]["kept"]
    assert 2 * len(kept) <= facts["columns"]
    report = pl.read_csv(tmp_path / "features" / "selection.csv")
    assert report.height == facts["columns"]
    assert report.filter(pl.col("kept"))["feature"].sort().to_list() == sorted(kept)


def test_drift(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = tmp_path / "model"
    settings = ["--set", "model.leave_out=['ease','category_link']", "--set", "model.ranker=false"]
    assert cli.run(["fit", str(shop), "--out", str(model), *settings]) == 0
    later = tmp_path / "later.csv"
    rows = [f"c{n},milk{n % 6},2024-02-{d:02d}" for n in range(60) for d in range(1, 9)]
    later.write_text("\n".join(["customer,sku,ordered_at", *rows]) + "\n")
    command = ["drift", str(model), "--events", str(later), "--config", str(shop)]
    capsys.readouterr()
    assert cli.run([*command, "--out", str(tmp_path / "drift")]) == 0
    out = capsys.readouterr().out
    assert "480 events of 60 users, later than the model." in out
    assert "Fit again" in out
    assert (tmp_path / "drift" / "drift.html").is_file()
    assert cli.run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "drift"
    assert {check["name"] for check in found["checks"]} >= {"categories", "prices", "words", "calibration"}
