"""`runs`: what was run is listed, and two runs are compared by what differs and what it gave."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from crossaisle import cli
from crossaisle.pipeline.record import EXTRAS


@pytest.fixture(scope="module")
def folder(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    changes = {
        "before": [],
        "without": ['model.leave_out=["category_link"]'],
        "later": ["split.test=0.2"],
    }
    for name, settings in changes.items():
        options = [word for setting in settings for word in ("--set", setting)]
        assert cli.run(["run", str(shop), "--out", str(out / name), *options]) == 0
    return out


def test_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert EXTRAS.keys() <= project["project"]["optional-dependencies"].keys()
    assert {"rank", "sequence"} <= EXTRAS.keys()  # both decide what parts a model has


def test_a_run_keeps_what_it_takes_to_repeat_it(folder: Path) -> None:
    record = json.loads((folder / "without" / "run.json").read_text())
    assert record["config"]["model"]["leave_out"] == ["category_link"]
    assert record["data"]["events"] == 1200
    assert record["version"]
    assert record["seconds"] > 0
    assert record["peak_mb"] > 0
    assert "tune" in record["extras"]


def test_runs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["runs", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("before", "without", "later", "corner shop"))
    assert cli.run(["runs", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len({run["data"]["fingerprint"] for run in listed}) == 1
    assert all(0 < run["recall@10"] <= 1 for run in listed)


def test_what_two_runs_differ_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [str(folder / "before"), str(folder / "without")]
    assert cli.run(["runs", "diff", *pair, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_cases"]
    assert found["changes"] == [{"name": "model.leave_out", "before": [], "after": ["category_link"]}]
    for figure in found["figures"]:
        assert figure["difference"] == pytest.approx(figure["after"] - figure["before"])
        assert figure["intervals_apart"] in (True, False)
    assert cli.run(["runs", "diff", *pair]) == 0
    assert "model.leave_out" in capsys.readouterr().out


def test_runs_over_other_cases_are_not_held_against_each_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [str(folder / "before"), str(folder / "later")]
    assert cli.run(["runs", "diff", *pair, "--json", "--all"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["same_cases"]
    assert {figure["intervals_apart"] for figure in found["figures"]} == {None}
    assert cli.run(["runs", "diff", *pair]) == 0
    assert "different test cases" in capsys.readouterr().out


def test_a_run_against_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(folder / "before")
    assert cli.run(["runs", "diff", one, one]) == 0
    assert "Settings, data and version are the same." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["diff", "a"], 2, "diff compares two runs"),
        (["a", "b"], 2, "give one folder"),
        (["{folder}/no"], 1, "no such folder"),
        (["diff", "{folder}/befor", "{folder}/later"], 1, "did you mean 'before'?"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["runs", *(word.format(folder=folder) for word in words)]) == code
    assert message in capsys.readouterr().err


def test_a_damaged_record_is_named(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    assert cli.run(["runs", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
