"""How many threads BLAS gets, said before numpy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = (
    "import os, sys\n"
    "from crossaisle import cli\n"
    "def numpy_is_loaded(arguments):\n"
    "    assert 'numpy' not in sys.modules\n"
    "    share(arguments)\n"
    "share, cli._share_cores = cli._share_cores, numpy_is_loaded\n"
    "os.cpu_count = lambda: int(sys.argv[1])\n"
    "cli.run(sys.argv[2:])\n"
    "print(os.environ['OPENBLAS_NUM_THREADS'])\n"
)


@pytest.mark.parametrize(
    ("cores", "command", "threads"),
    [(2, ["demo"], "1"), (1, ["demo"], "1"), (16, ["run", "x.toml"], "8"), (16, ["serve", "x"], "1")],
)
def test_two_fits_share_the_cores_and_a_service_splits_no_request(
    cores: int, command: list[str], threads: str
) -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    asked = [sys.executable, "-c", ASK, str(cores), *command, "--help"]
    done = subprocess.run(asked, env=quiet, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == threads


def test_what_was_set_stays() -> None:
    asked = [sys.executable, "-c", ASK, "16", "run", "--help"]
    done = subprocess.run(
        asked, env=os.environ | {"OPENBLAS_NUM_THREADS": "3"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "3"
