"""`SavedModels`: the folder that a service takes its models from: on its disk, or in a bucket (fsspec).

A model in a bucket is copied to the cache of this machine before it is read, under the checksum of its
manifest, which holds those of all its files: what is there already is not copied again, and a copy that does
not match is never used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from crossaisle import artifact
from crossaisle.errors import (
    ArtifactError,
    ConfigError,
    MissingDependencyError,
    UnknownIdError,
    cleaned,
    shorten,
)
from crossaisle.fetch import cache_dir

_LOG = logging.getLogger(__name__)
DIGITS = 16
"""Of the checksum that tells versions of a model apart."""


def version_of(folder: Path) -> str:
    """What tells a saved model from another one of the same name: hexadecimal, from the checksums of its
    files. `ArtifactError` where there is none.
    """
    try:
        return _version((folder / artifact.MANIFEST).read_bytes())
    except OSError as error:
        raise ArtifactError(f"{folder}: no such model folder") from error


def local_copy(place: str | Path) -> Path:
    """The folder of a model: itself, or the copy of one in a bucket. `ArtifactError`, `ConfigError`."""
    if not in_bucket(place):
        return Path(place)
    parent, _, name = str(place).rstrip("/").rpartition("/")
    return SavedModels(parent).find(name)


def in_bucket(place: str | Path) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in str(place)


class SavedModels:
    """Saved models side by side."""

    def __init__(self, place: str | Path) -> None:
        """`place`: a folder, or an address that fsspec knows: `s3://`, `gs://`, `file://`, `memory://`."""
        self.place = str(place)
        self.folder = None if in_bucket(place) else Path(place)

    def names(self) -> list[str]:
        """Of all models that are there; `ArtifactError` for a bucket that does not answer."""
        if self.folder is not None:
            return artifact.saved_in(self.folder)
        with self._bucket() as (files, root):
            found = files.glob(f"{root}/*/{artifact.MANIFEST}")
        folders = (PurePosixPath(path).parent for path in found)
        return sorted(folder.name for folder in folders if folder.suffix not in artifact.BESIDE)

    def find(self, name: str, version: str = "") -> Path:
        """The folder of a model on this machine's disk. `version`: that it must have, where it matters.

        `UnknownIdError` where there is none of this name, `ArtifactError` for one of another version or one
        that cannot be copied.
        """
        if self.folder is not None:
            if name not in self.names():
                raise UnknownIdError(f"no model {shorten(name)} in the folder of models")
            path, found = self.folder / name, version_of(self.folder / name)
        else:
            path, found = self._copied(name)
        if version and found != version:
            raise ArtifactError(f"the folder of models holds version {found} of model {name}, not {version}")
        return path

    def _copied(self, name: str) -> tuple[Path, str]:
        if not name or name != PurePosixPath(name).name or name.startswith("."):
            raise UnknownIdError(f"no model {shorten(name)} in the folder of models")
        with self._bucket() as (files, root):
            try:
                manifest = files.cat_file(f"{root}/{name}/{artifact.MANIFEST}")
            except FileNotFoundError:
                raise UnknownIdError(f"no model {shorten(name)} in the folder of models") from None
            version = _version(manifest)
            target = cache_dir() / "served" / version / name
            if not (target / artifact.MANIFEST).is_file():
                _copy(files, f"{root}/{name}", manifest, target)
        return target, version

    @contextmanager
    def _bucket(self) -> Iterator[tuple[Any, str]]:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise MissingDependencyError("fsspec", "bucket", "models in a bucket") from None
        scheme = self.place.partition("://")[0]
        try:
            files, root = url_to_fs(self.place, use_listings_cache=False)
        except ImportError as error:  # fsspec names the package of this kind of bucket
            said = str(error)
            raise ConfigError(f"{scheme}://: {said[:1].lower()}{said[1:]}") from None
        except ValueError as error:
            raise ConfigError(
                f"{scheme}://: {error}: models are in a folder, s3://, gs:// or file://"
            ) from None
        try:
            yield files, str(root).rstrip("/")
        except (ArtifactError, ConfigError, UnknownIdError):
            raise
        except Exception as error:  # each kind of bucket has errors of its own
            said = cleaned(error, self.place)[:200] or type(error).__name__
            raise ArtifactError(f"{scheme}://: models cannot be read ({said})") from error


def _version(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:DIGITS]


def _copy(files: Any, source: str, manifest: bytes, target: Path) -> None:
    """Every file that the manifest names, checked, and then all at once in place."""
    try:
        sums = json.loads(manifest)["sha256"]
        names = [str(name) for name in sums]
    except (ValueError, TypeError, KeyError):
        raise ArtifactError(
            f"{target.name}: damaged: {artifact.MANIFEST} lists no files; save it again"
        ) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".copy-", dir=target.parent) as work:
        fresh = Path(work) / "model"
        for name in names:
            path = fresh / name
            if ".." in PurePosixPath(name).parts or not path.resolve().is_relative_to(fresh.resolve()):
                raise ArtifactError(
                    f"{target.name}: foreign: {artifact.MANIFEST} names {name!r}, a file outside"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(f"{source}/{name}", str(path))
            if artifact.sha256(path) != sums[name]:
                wrong = f"damaged: {name} does not match its checksum in the bucket"
                raise ArtifactError(f"{target.name}: {wrong}; copy it there again")
        (fresh / artifact.MANIFEST).write_bytes(manifest)
        try:
            fresh.rename(target)
        except OSError:  # another process was quicker
            if not (target / artifact.MANIFEST).is_file():
                raise
            shutil.rmtree(fresh, ignore_errors=True)
    _LOG.warning("model %s copied to %s", target.name, target)
