"""`tune` and `improve` on the command line: what they write is what `run` reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle import cli


@pytest.mark.slow
@pytest.mark.parametrize(("command", "file"), [("tune", "best.toml"), ("improve", "improved.toml")])
def test_what_is_found_can_be_run(
    command: str, file: str, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "tune":
        pytest.importorskip("optuna")
    words = [command, str(shop), "--minutes", "0.05", "--out", str(tmp_path / "found")]
    assert cli.run([*words, "--set", "split.validation=0.3"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == str(tmp_path / "found" / file)
    assert cli.run(["run", str(tmp_path / "found" / file), "--out", str(tmp_path / "run")]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"]["split"]["validation"] == 0.3


def test_minutes_must_be_a_time(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["improve", str(shop), "--minutes", "0", "--out", str(tmp_path)]) == 2
    assert "--minutes must be above 0 (found 0)" in capsys.readouterr().err
