"""A saved object is a folder: `config.json`, arrays, tables, and a checksum of every file. Never pickle.

Saves are atomic: the folder is built under a temporary name next to its target and swapped in, so a full disk
or a killed process leaves the old folder untouched. Concurrent saves take turns; whatever a killed save left
behind is restored or removed by the next one.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.array_checks import check_matrix, check_numbers
from crossaisle.errors import ArtifactError, ConfigError, CrossaisleError, DataError, UnknownIdError, shorten
from crossaisle.sharing import MANIFEST as MANIFEST
from crossaisle.sharing import link, linked_from, map_file, shared

FORMAT = "crossaisle"
VERSION = 1
LONGEST_NAME = 1000
"""Maximum length in characters of a file name, including its path inside the folder."""
INDEX, COUNTS = ".index", ".counts"
BESIDE = (INDEX, COUNTS)
"""Suffixes of companion folders of a saved folder; they are not models that one could choose."""

# Windows can neither lock nor sync a directory, so concurrent saves do not take turns there.
_fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


@contextmanager
def writing(target: str | Path, kind: str) -> Iterator[Path]:
    """Yields an empty folder to fill; it replaces `target` on success and is removed on failure."""
    target = Path(target).resolve()
    may_replace(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            _clear_leftovers(target)
            fresh = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
            held = _hold(fresh)  # while this lock is held, no other process treats the folder as a leftover
        try:
            yield fresh
            _seal(fresh, kind, target)
            with _locked(target.parent):
                _swap(fresh, target)
        finally:
            _release(held)
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        said = error.strerror or f"{error}: is the disk full?"  # numpy does not say so
        raise ArtifactError(
            f"{target}: could not be saved ({said}); the previous folder is untouched"
        ) from error


def may_replace(target: Path) -> None:
    """Raises `ArtifactError` if something other than a saved folder is in the way: long jobs check this
    first."""
    if os.path.lexists(target) and not _ours(target):  # a dangling link is in the way, too
        raise ArtifactError(
            f"{target}: exists and is not a saved {FORMAT} folder; choose another path or remove it"
        )


def _seal(fresh: Path, kind: str, target: Path) -> None:
    """Writes the manifest and syncs everything to disk. Files that are links into `target` keep their
    checksums."""
    try:
        known = linked_from(target, _manifest(target, kind))
    except ArtifactError:  # no folder there, or a damaged one
        known = {}
    linked = linked_from(fresh, {name: name for name in _files(fresh)}) if known else {}
    sums = {name: known[place] for place, name in linked.items() if place in known}
    sums |= _digests(fresh, [name for name in _files(fresh) if name not in sums])
    manifest = {"format": FORMAT, "version": VERSION, "kind": kind, "sha256": dict(sorted(sums.items()))}
    write_json(fresh / MANIFEST, manifest)
    fresh.chmod(0o755)
    with ThreadPoolExecutor() as pool:
        list(pool.map(_sync, [*fresh.rglob("*"), fresh]))


def _files(folder: Path) -> list[str]:
    """Relative names of all files, sorted, without the manifest and hidden files, which are never read.

    File managers leave hidden files in folders that they visit (`.DS_Store`, `._name`).
    """
    names = (p.relative_to(folder) for p in folder.rglob("*") if not p.is_dir())
    seen = (name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
    return sorted(name for name in seen if name != MANIFEST)


def _sync(path: Path) -> None:
    if _fcntl is None and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hold(folder: Path, *, wait: bool = True) -> int | None:
    """Locks a folder until the returned descriptor is closed or the process ends.

    Returns None if another process holds the lock, or if the file system has no locks.
    """
    if _fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX | (0 if wait else _fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def _release(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = _hold(folder)
    try:
        yield
    finally:
        _release(handle)


def _prefix(target: Path) -> str:
    return f".{target.name}.saving-"


def _swap(fresh: Path, target: Path) -> None:
    """Puts a finished folder in place; `_clear_leftovers` undoes a swap that was killed halfway."""
    if not target.exists():
        fresh.rename(target)
    else:
        old = fresh.with_name(fresh.name + "-old")
        target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync(target.parent)


def _clear_leftovers(target: Path) -> None:
    """Restores the folder of a swap that was killed, and removes what other killed saves left behind."""
    pattern = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]{8}(-old)?")
    for path in sorted(target.parent.iterdir()):
        match = pattern.fullmatch(path.name)
        if not match:
            continue
        if match[1] and not target.exists():
            path.rename(target)
            continue
        handle = _hold(path, wait=False)
        if handle is not None:
            shutil.rmtree(path, ignore_errors=True)
            _release(handle)


def _ours(path: Path) -> bool:
    try:
        return not any(path.iterdir()) or is_saved(path)
    except OSError:
        return False


def is_saved(folder: Path) -> bool:
    """Whether crossaisle saved a folder: a model or an index, of any version."""
    try:
        return bool(json.loads((folder / MANIFEST).read_bytes()).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turns any exception raised while reading a saved file or folder into an `ArtifactError` that names it.

    Matching checksums prove that a folder is unchanged, not that its content is valid.
    """
    try:
        yield
    except Exception as error:
        ours = isinstance(error, CrossaisleError)
        if ours and not isinstance(error, ConfigError | DataError | UnknownIdError):
            raise
        said = getattr(error, "strerror", None) or str(error)
        first = next(iter(said.splitlines()), "").encode("utf-8", "replace").decode()
        if isinstance(error, KeyError):
            raise ArtifactError(f"{place}: damaged: lacks {first[:200]}; restore it or fit again") from error
        why = first if ours else f"{type(error).__name__}{f': {first[:200]}' if first else ''}"
        raise ArtifactError(f"{place}: damaged: cannot be read ({why}); restore it or fit again") from error


def saved_in(folder: Path | None) -> list[str]:
    """Names of the saved folders inside a folder."""
    if folder is None or not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if (path / MANIFEST).is_file())
    return sorted(path.name for path in found if path.suffix not in BESIDE)


def check(path: str | Path, kind: str) -> Path:
    """Verifies a saved folder: format, version, kind, and the checksum of every file."""
    with reading(path := Path(path)):
        if not path.is_dir():
            _put_back(path.resolve())
        if not path.is_dir():
            rule = "is a file, not a folder" if path.is_file() else "no such model folder"
            raise ArtifactError(f"{path}: {rule}")
        _verify(path, _manifest(path, kind))
    return path


def _verify(path: Path, expected: Mapping[str, str]) -> None:
    root = path.resolve()
    for name in expected:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise ArtifactError(f"{path}: foreign: {MANIFEST} names {shorten(name)}, which cannot be a file")
        file = path / name
        if not file.resolve().is_relative_to(root):
            raise ArtifactError(f"{path}: foreign: {MANIFEST} names {name!r}, a file outside the folder")
        if not file.is_file():
            raise ArtifactError(f"{path}: damaged: {name} is missing; restore it or fit again")
    for name, digest in _digests(path, expected).items():
        if digest != expected[name]:
            said = f"{name} does not match its checksum"
            raise ArtifactError(f"{path}: damaged: {said}; restore it or fit again")
    # Readers load every array they find, so there must be none without a checksum.
    extra = [name for name in _files(path) if name not in expected]
    if extra:
        raise ArtifactError(f"{path}: foreign: {extra[0]} is not in {MANIFEST}; remove it or fit again")


def _put_back(target: Path) -> None:
    """Restores the old folder if a save was killed between its two renames."""
    if target.parent.is_dir():
        try:
            with _locked(target.parent):
                _clear_leftovers(target)
        except OSError:
            return  # read-only: the caller reports that the folder is not there


def _manifest(path: Path, kind: str) -> dict[str, str]:
    """File name -> digest, from the manifest of a folder of this format, version and kind."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        inside = saved_in(path)
        hint = f" (did you mean {path / inside[0]}?)" if inside else f" ({MANIFEST} is missing)"
        raise ArtifactError(f"{path}: not a {FORMAT} folder{hint}") from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: damaged: {MANIFEST} is not JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not a {FORMAT} folder")
    version = manifest.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        advice = "update crossaisle" if newer else "fit it again"
        raise ArtifactError(
            f"{path}: saved in format version {shorten(version)}, this is version {VERSION}: {advice}"
        )
    if manifest.get("kind") != kind:
        raise ArtifactError(f"{path}: holds a {shorten(manifest.get('kind'))}, not a {kind!r}")
    files = manifest.get("sha256")
    if not isinstance(files, dict):
        raise ArtifactError(f"{path}: damaged: {MANIFEST} lists no files; restore it or fit again")
    return files


def _digests(folder: Path, names: Collection[str]) -> dict[str, str]:
    """Name -> digest; several files are hashed in parallel."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(sha256, [folder / name for name in names]), strict=True))


def sha256(path: str | Path) -> str:
    """Hexadecimal digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def read_json(path: Path) -> Any:
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON object from a file."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: damaged: not a JSON object; restore it or fit again")
    return value


def pack(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Flattens csr matrices: `name` becomes `name.data`, `name.indices`, `name.indptr`, `name.shape`."""
    out: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if sparse.issparse(value):
            csr = value.tocsr()
            # Column indices that fit into 16 bits take half the space.
            small = csr.shape[1] <= np.iinfo(np.uint16).max + 1
            out[f"{name}.data"] = csr.data
            out[f"{name}.indices"] = csr.indices.astype(np.uint16) if small else csr.indices
            out[f"{name}.indptr"], out[f"{name}.shape"] = csr.indptr, np.array(csr.shape)
        else:
            out[name] = np.asarray(value)
    return out


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `pack`; float16 weights become float32."""
    out: dict[str, Any] = {}
    for name, value in arrays.items():
        stem, _, part = name.partition(".")
        if not part:
            out[stem] = value
        elif part == "shape":
            data = arrays[f"{stem}.data"]
            # float16 is for storage only: scipy does not compute with it.
            data = _widened(data, np.float32) if data.dtype == np.float16 else data
            indices = arrays[f"{stem}.indices"]
            indices = _widened(indices, np.int32) if indices.dtype == np.uint16 else indices
            triple = data, indices, arrays[f"{stem}.indptr"]
            out[stem] = sparse.csr_matrix(triple, shape=tuple(int(v) for v in value))
    return out


def _widened(stored: np.ndarray, kind: type[Any]) -> np.ndarray:
    wide: np.ndarray = shared(stored, kind.__name__, lambda: stored.astype(kind))
    return wide


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes one `.npy` file per array, so that large ones can be memory-mapped; already mapped ones are
    linked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in arrays.items():
        file = folder / f"{name}.npy"
        file.unlink(missing_ok=True)  # writing into a hard-linked file would change it in every model
        if not link(value, file):
            np.save(file, value, allow_pickle=False)


def read_arrays(folder: Path, *, mmap: bool = False, gaps: Container[str] = ()) -> dict[str, np.ndarray]:
    """The inverse of `write_arrays`; `ArtifactError` for infinite numbers, and for NaN except in `gaps`."""
    read = map_file if mmap else partial(np.load, allow_pickle=False)
    arrays, files = {}, {}
    for file in sorted(file for file in folder.glob("*.npy") if not file.name.startswith(".")):
        name = file.name.removesuffix(".npy")
        with reading(file):
            arrays[name] = np.asarray(read(file))
            if arrays[name].dtype.kind not in "biuf":
                raise ArtifactError(f"{file}: damaged: holds no numbers; restore it or fit again")
            if arrays[name].dtype.kind == "f":
                check_numbers(file, name in gaps)
        files[name] = file
    for name, file in files.items():
        stem, _, part = name.rpartition(".")
        if part == "indices":
            with reading(file):
                check_matrix(file, arrays[f"{stem}.indptr"], arrays[f"{stem}.shape"], len(arrays[name]))
    return arrays
