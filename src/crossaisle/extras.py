"""The command that installs an optional extra into this very installation."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

NAME = "crossaisle"


def install_command(extra: str) -> str:
    """The pip command for an extra, run from the current directory; crossaisle may come from a clone, a file
    or an index."""
    pip = _pip()
    origin = _origin()
    if origin is None:
        return f"{pip} install {_quoted(f'{NAME}[{extra}]')}"
    url, editable = origin
    place = Path(unquote(urlparse(url).path))
    if not place.is_dir():
        return f"{pip} install {_quoted(f'{NAME}[{extra}] @ {url}')}"
    limits = place / "constraints.txt"
    chosen = f"-c {_quoted(_near(limits))} " if limits.is_file() else ""
    return f"{pip} install {chosen}{'-e ' if editable else ''}{_quoted(f'{_near(place)}[{extra}]')}"


def program() -> str:
    """The command that runs this installation's `crossaisle` from the current directory."""
    beside = Path(sys.executable).parent / NAME
    found = shutil.which(NAME)
    if (found is not None and Path(found) == beside) or not beside.exists():
        return NAME
    return shlex.quote(_near(beside))


def _pip() -> str:
    """`pip` if that belongs to the running interpreter, else `PYTHON -m pip`."""
    found = shutil.which("pip")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{shlex.quote(_near(Path(sys.executable)))} -m pip"


@lru_cache(maxsize=1)
def _origin() -> tuple[str, bool] | None:
    """The URL it was installed from (PEP 610) and whether it is editable; None if it came from an index."""
    try:
        text = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    if text is None:
        return None
    origin = json.loads(text)
    return origin["url"], origin.get("dir_info", {}).get("editable", False)


def _near(place: Path) -> str:
    """A path below the current directory as a relative path; others unchanged."""
    try:
        inside = place.relative_to(Path.cwd())
    except (ValueError, OSError):  # elsewhere, or the current directory was deleted
        return str(place)
    return str(inside) if inside.parts else os.curdir


def _quoted(text: str) -> str:
    return text if shlex.quote(text) == text else f"'{text}'" if "'" not in text else shlex.quote(text)
