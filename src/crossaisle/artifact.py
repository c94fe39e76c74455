"""A saved thing is a folder: `config.json`, arrays, tables, and a checksum of every file. Never pickle.

Writing is atomic: the folder is built under a temporary name beside its target and swapped in, so a
full disk or a kill leaves the old folder as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.errors import ArtifactError

FORMAT = "crossaisle"
VERSION = 1
MANIFEST = "manifest.json"


@contextmanager
def writing(target: str | Path, kind: str) -> Iterator[Path]:
    """Yields a fresh folder to fill; on success it replaces `target`, on failure it vanishes."""
    target = Path(target)
    if target.exists() and not _ours(target):
        raise ArtifactError(
            f"{target}: exists and is not a saved {FORMAT} folder; choose another path or remove it"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield fresh
        files = sorted(p.relative_to(fresh).as_posix() for p in fresh.rglob("*") if p.is_file())
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "kind": kind,
            "sha256": {name: sha256(fresh / name) for name in files},
        }
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for path in fresh.rglob("*"):
            if path.is_file():
                _sync(path)
        _swap(fresh, target)
    except OSError as error:
        raise ArtifactError(
            f"{target}: could not be saved ({error.strerror or error}); "
            "the folder that was there is untouched"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(fresh: Path, target: Path) -> None:
    fresh.chmod(0o755)
    if not target.exists():
        fresh.rename(target)
        return
    old = fresh.with_name(fresh.name + "-old")
    target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _ours(path: Path) -> bool:
    if path.is_dir() and not any(path.iterdir()):
        return True
    try:
        return bool(json.loads((path / MANIFEST).read_text()).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def check(path: str | Path, kind: str) -> Path:
    """Verifies a saved folder: format, version, kind, and the checksum of every file."""
    path = Path(path)
    if not path.is_dir():
        raise ArtifactError(f"{path}: no such model folder")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not a {FORMAT} folder ({MANIFEST} is missing)") from None
    except ValueError as error:
        raise ArtifactError(f"{path}: damaged: {MANIFEST} is not JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not a {FORMAT} folder")
    if manifest.get("version") != VERSION:
        raise ArtifactError(
            f"{path}: saved in format version {manifest.get('version')}, "
            f"this is version {VERSION}: fit it again"
        )
    if manifest.get("kind") != kind:
        raise ArtifactError(f"{path}: holds a {manifest.get('kind')!r}, not a {kind!r}")
    for name, expected in manifest["sha256"].items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(f"{path}: damaged: {name} is missing; restore it or fit again")
        if sha256(file) != expected:
            raise ArtifactError(
                f"{path}: damaged: {name} does not match its checksum; restore it or fit again"
            )
    return path


def sha256(path: str | Path) -> str:
    """Hexadecimal digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def pack(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Flattens csr matrices: `name` becomes `name.data`, `name.indices`, `name.indptr`, `name.shape`."""
    out: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if sparse.issparse(value):
            csr = value.tocsr()
            out[f"{name}.data"], out[f"{name}.indices"] = csr.data, csr.indices
            out[f"{name}.indptr"], out[f"{name}.shape"] = csr.indptr, np.array(csr.shape)
        else:
            out[name] = np.asarray(value)
    return out


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The opposite of `pack`."""
    out: dict[str, Any] = {}
    for name, value in arrays.items():
        stem, _, part = name.partition(".")
        if not part:
            out[stem] = value
        elif part == "shape":
            triple = arrays[f"{stem}.data"], arrays[f"{stem}.indices"], arrays[f"{stem}.indptr"]
            out[stem] = sparse.csr_matrix(triple, shape=tuple(int(v) for v in value))
    return out


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """One `.npy` per array, so that big ones can be memory-mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in arrays.items():
        np.save(folder / f"{name}.npy", value, allow_pickle=False)


def read_arrays(folder: Path, *, mmap: bool = False) -> dict[str, np.ndarray]:
    """The opposite of `write_arrays`."""
    files = sorted(folder.glob("*.npy"))
    return {p.name[:-4]: np.load(p, mmap_mode="r" if mmap else None, allow_pickle=False) for p in files}
