"""The install command in a message works in the reader's environment."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from crossaisle import extras
from crossaisle.extras import install_command

ROOT = Path(__file__).parent.parent
KNOWN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
LINE = re.compile(r"pip install [^\n`]*\[([\w,]+)\][^\s`]*")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
INSTALLS = sorted(
    {(m.group(0), m.group(1)) for page in PAGES for m in LINE.finditer(page.read_text(encoding="utf-8"))}
)
TORCH = {"train", "sequence"}
"""Large, and installed by `make test` itself."""


class Installed:
    """What `importlib.metadata` says of an installation."""

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def read_text(self, _: str) -> str | None:
        return None if self._origin is None else json.dumps(self._origin)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    def of(origin: object) -> None:
        extras._origin.cache_clear()
        monkeypatch.setattr(extras, "distribution", lambda _: Installed(origin))
        monkeypatch.setattr(extras.shutil, "which", lambda _: str(Path(sys.executable).parent / "pip"))

    yield of
    extras._origin.cache_clear()


def test_from_an_index(installed) -> None:
    installed(None)
    assert install_command("serve") == "pip install 'crossaisle[serve]'"


def test_from_a_clone(installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    installed({"url": clone.as_uri(), "dir_info": {"editable": True}})
    assert shlex.split(install_command("rank")) == ["pip", "install", "-e", f"{clone}[rank]"]
    (clone / "constraints.txt").touch()
    monkeypatch.chdir(clone)
    assert install_command("rank") == "pip install -c constraints.txt -e '.[rank]'"


def test_from_a_wheel(installed) -> None:
    installed({"url": "file:///downloads/crossaisle-1-py3-none-any.whl", "archive_info": {}})
    wanted = "pip install 'crossaisle[serve] @ file:///downloads/crossaisle-1-py3-none-any.whl'"
    assert install_command("serve") == wanted


def test_with_another_pip_first_on_the_path(installed, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(None)
    monkeypatch.setattr(extras.shutil, "which", lambda _: "/elsewhere/bin/pip")
    program, *rest = shlex.split(install_command("serve"))
    assert Path(program).absolute() == Path(sys.executable).absolute()
    assert rest == ["-m", "pip", "install", "crossaisle[serve]"]


@pytest.mark.parametrize(("line", "names"), INSTALLS)
def test_the_docs_name_extras_that_exist(line: str, names: str) -> None:
    assert set(names.split(",")) <= KNOWN.keys(), line


@pytest.mark.slow
def test_every_install_line_of_the_docs_works_in_a_fresh_environment(tmp_path: Path) -> None:
    """pip finds every package of every line; the service's own are installed, from a wheel, and start."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"

    def pip(*words: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "pip", "--disable-pip-version-check", "-q", *words]
        return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=600)

    built = pip("wheel", "--no-deps", "-w", str(tmp_path), ".")
    if built.returncode and "No matching distribution" in built.stderr:
        pytest.skip("needs a package registry")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("crossaisle-*.whl")
    named = ",".join(sorted({name for _, names in INSTALLS for name in names.split(",")} - TORCH))
    said = pip("install", "--dry-run", "-c", "constraints.txt", f"crossaisle[{named}] @ {wheel.as_uri()}")
    assert said.returncode == 0, said.stderr
    said = pip("install", "-c", "constraints.txt", f"crossaisle[serve] @ {wheel.as_uri()}")
    assert said.returncode == 0, said.stderr
    command = [python, "-m", "crossaisle", "serve", tmp_path / "nothing"]
    said = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=120)
    assert "is not installed" not in said.stderr
    assert "nothing" in said.stderr
