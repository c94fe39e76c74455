"""A command that stops reading a file early ends by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_refused_export_ends_with_its_message_and_no_signal(tmp_path: Path) -> None:
    """A file that was not read to its end kept being read in a thread, which aborted most such runs."""
    (tmp_path / "tiny.csv").write_text("a,b\n1,2\n")
    command = [sys.executable, "-m", "crossaisle", "import", "--from", "shopify", "tiny.csv"]
    for _ in range(4):
        done = subprocess.run(
            [*command, "--out", "x.toml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "a shopify export" in done.stderr
