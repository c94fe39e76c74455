"""Other revisions of this source tree, for benchmarks that compare: check out, import, ask over HTTP."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parents[1]
FORMER = {
    "cross_share": "share",
    "include_categories": "include",
    "exclude_categories": "exclude",
}
"""List controls: today's name over HTTP -> its earlier names."""


def arguments(doc: str | None, rounds: int, *, alone: bool = False) -> argparse.ArgumentParser:
    """The command line of comparisons: REV, --model, --out, --rounds.

    `alone`: REV and --model are optional, so that this tree can be measured by itself.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "revision",
        metavar="REV",
        nargs="?" if alone else None,
        help="the revision to compare with: a commit, branch or tag",
    )
    parser.add_argument("--model", type=Path, required=not alone, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="rounds of each tree (default: %(default)s)"
    )
    return parser


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """The source tree of a revision in a temporary git worktree."""
    git = ["git", "-C", str(HERE)]
    done = subprocess.run(
        [*git, "worktree", "add", "--detach", str(folder), revision],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{revision}: {done.stderr.strip()[-300:]}")
    try:
        if not (folder / "src" / "crossaisle").is_dir():
            raise SystemExit(f"{revision} has no src/crossaisle")
        yield folder
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(folder)], capture_output=True, check=False)


def large_shop_of(tree: Path, out: Path, n_items: int) -> Path:
    """The folder of the synthetic shop of `large_shop.py`, fitted once by another source tree."""
    folder = out / f"model-{n_items}"
    if folder.is_dir():
        return folder
    if not (tree / "benchmarks" / "large_shop.py").is_file():
        raise SystemExit(f"{tree} has no benchmarks/large_shop.py: give --other-model")
    code = "import sys, large_shop, pathlib; large_shop.make(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(folder.resolve()), str(n_items)]
    with importing(tree):
        subprocess.run(command, cwd=tree / "benchmarks", check=True)
    return folder


@contextmanager
def importing(tree: Path, compiled: Path | None = None) -> Iterator[None]:
    """While in this context, new processes import the package from this tree.

    `compiled`: their folder of compiled modules, so that no tree starts faster than another; by default
    beside the sources.
    """
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = str(tree / "src")
    if compiled is not None:
        os.environ["PYTHONPYCACHEPREFIX"] = str(compiled)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def answer_of(tree: Path, script: str, *words: str) -> dict[str, Any]:
    """What a script prints as JSON when called with `--child`, in a process that imports a tree."""
    with importing(tree):
        done = subprocess.run(
            [sys.executable, script, "--child", *words], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(done.stderr.strip()[-600:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Dialect:
    """The names that one revision's service has for the controls of a list."""

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        """`openapi`: the document that the service answers at `/openapi.json`."""
        parameters = openapi["paths"]["/api/recommend/{user}"]["get"]["parameters"]
        self._names = {parameter["name"] for parameter in parameters}

    def controls(self, **controls: Any) -> dict[str, Any]:
        """Renames controls from today's names to this revision's."""
        return {self.name(control): value for control, value in controls.items()}

    def name(self, control: str) -> str:
        """The control's name in this revision; `SystemExit` if it has no known name."""
        for name in (control, FORMER.get(control, control)):
            if name in self._names:
                return name
        raise SystemExit(f"/openapi.json knows no control {control!r}: add its name to FORMER")

    def path(self, user: str, **controls: Any) -> str:
        """Path and query string of a list for a user."""
        asked = urlencode(self.controls(**controls), doseq=True)
        return f"/api/recommend/{user}" + (f"?{asked}" if asked else "")
