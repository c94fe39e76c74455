"""A saved thing is a folder: `config.json`, arrays, tables, and a checksum of every file. Never pickle.

Writing is atomic: the folder is built under a temporary name beside its target and swapped in, so a
full disk or a kill leaves the old folder as it was. Two savers take turns; what a killed one left
is restored or removed by the next.
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
"""Characters of the name of a file in a folder, with those it lies in."""
INDEX, COUNTS = ".index", ".counts"
BESIDE = (INDEX, COUNTS)
"""Ends of the names of what belongs to the saved folder of the same name, and is none to choose from."""

# Windows can neither lock nor sync a folder: savers do not take turns there.
_fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


@contextmanager
def writing(target: str | Path, kind: str) -> Iterator[Path]:
    """Yields a fresh folder to fill; on success it replaces `target`, on failure it vanishes."""
    target = Path(target).resolve()
    may_replace(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            _clear_leftovers(target)
            fresh = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
            held = _hold(fresh)  # as long as this process lives, no other process takes it for a leftover
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
            f"{target}: could not be saved ({said}); the folder that was there is untouched"
        ) from error


def may_replace(target: Path) -> None:
    """Raises where no folder can be saved, as something else is there: for long work to ask at its start."""
    if os.path.lexists(target) and not _ours(target):  # a link that leads nowhere is something else, too
        raise ArtifactError(
            f"{target}: exists and is not a saved {FORMAT} folder; choose another path or remove it"
        )


def _seal(fresh: Path, kind: str, target: Path) -> None:
    """Adds the manifest and sends everything to the disk. Links to files of `target` keep their checksums."""
    try:
        known = linked_from(target, _manifest(target, kind))
    except ArtifactError:  # nothing is there, or nothing good
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
    """Relative names of all files, sorted; neither the manifest nor hidden ones, which are never read.

    Hidden files are what a file manager leaves where it has been (`.DS_Store`, `._name`).
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
    """A handle that locks a folder until it is closed or the process ends.

    None where another process holds it, or where the file system has no locks.
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
    """Puts a finished folder in place; `_clear_leftovers` undoes a swap that was killed half-way."""
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
    """Puts back the folder of a swap that was killed and removes what other killed saves left."""
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
        if not any(path.iterdir()):
            return True
        return bool(json.loads((path / MANIFEST).read_bytes()).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Whatever a saved file or folder makes fail becomes an `ArtifactError` that names it and the rule.

    Checksums show that a folder is as it was written, not that it was written correctly.
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
    """Names of the saved things that a folder holds."""
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
            rule = "is a file, no folder" if path.is_file() else "no such model folder"
            raise ArtifactError(f"{path}: {rule}")
        _verify(path, _manifest(path, kind))
    return path


def _verify(path: Path, expected: Mapping[str, str]) -> None:
    root = path.resolve()
    for name in expected:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise ArtifactError(f"{path}: foreign: {MANIFEST} names {shorten(name)}, which no file is called")
        file = path / name
        if not file.resolve().is_relative_to(root):
            raise ArtifactError(f"{path}: foreign: {MANIFEST} names {name!r}, a file outside the folder")
        if not file.is_file():
            raise ArtifactError(f"{path}: damaged: {name} is missing; restore it or fit again")
    for name, digest in _digests(path, expected).items():
        if digest != expected[name]:
            said = f"{name} does not match its checksum"
            raise ArtifactError(f"{path}: damaged: {said}; restore it or fit again")
    # Readers take every array they find, so one without a checksum must not lie there.
    extra = [name for name in _files(path) if name not in expected]
    if extra:
        raise ArtifactError(f"{path}: foreign: {extra[0]} is not in {MANIFEST}; remove it or fit again")


def _put_back(target: Path) -> None:
    """The old folder, where a save was killed in the moment between two renames."""
    if target.parent.is_dir():
        try:
            with _locked(target.parent):
                _clear_leftovers(target)
        except OSError:
            return  # read-only: the caller reports that the folder is not there


def _manifest(path: Path, kind: str) -> dict[str, str]:
    """File name -> digest, of a folder of this format, version and kind."""
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
    """Name -> digest: several files at a time, which takes several processors."""
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
    """A JSON object."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: damaged: is no JSON object; restore it or fit again")
    return value


def pack(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Flattens csr matrices: `name` becomes `name.data`, `name.indices`, `name.indptr`, `name.shape`."""
    out: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if sparse.issparse(value):
            csr = value.tocsr()
            # Column numbers that fit take half the room, at no loss.
            small = csr.shape[1] <= np.iinfo(np.uint16).max + 1
            out[f"{name}.data"] = csr.data
            out[f"{name}.indices"] = csr.indices.astype(np.uint16) if small else csr.indices
            out[f"{name}.indptr"], out[f"{name}.shape"] = csr.indptr, np.array(csr.shape)
        else:
            out[name] = np.asarray(value)
    return out


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The opposite of `pack`; float16 weights come back as float32."""
    out: dict[str, Any] = {}
    for name, value in arrays.items():
        stem, _, part = name.partition(".")
        if not part:
            out[stem] = value
        elif part == "shape":
            data = arrays[f"{stem}.data"]
            # Half precision is a form of storage: scipy does not calculate with it.
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
    """One `.npy` per array, so that big ones can be memory-mapped. One that is mapped already is linked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in arrays.items():
        file = folder / f"{name}.npy"
        file.unlink(missing_ok=True)  # what is written into a linked file is written into every model's
        if not link(value, file):
            np.save(file, value, allow_pickle=False)


def read_arrays(folder: Path, *, mmap: bool = False, gaps: Container[str] = ()) -> dict[str, np.ndarray]:
    """The opposite of `write_arrays`; `ArtifactError` for numbers that are none, except NaN in `gaps`."""
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
