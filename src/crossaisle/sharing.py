"""Arrays that are stored compactly and expanded for use, expanded once for all worker processes.

Arrays used as stored are memory-mapped, so the operating system keeps one copy for all processes. Derived
arrays (float32 from float16, dense from sparse) would take memory in each process. So the first process that
needs one writes it into a folder of the service, and all processes map that file. Without such a folder, the
usual case, `shared` only computes the array.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MANIFEST = "manifest.json"
"""The file that marks a saved model's folder; written by `artifact`."""
PREFIX = "crossaisle-workers-"
LEAST = 1 << 20
"""Minimum size in bytes of arrays worth a file."""
_folder: Path | None = None


class SharedFolder:
    """A folder inside the system's temporary folder that lives as long as one service."""

    def __init__(self) -> None:
        import fcntl

        for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):  # belongs to a running service, or to another user
                held = os.open(old / "lock", os.O_RDWR)
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old, ignore_errors=True)
                finally:
                    os.close(held)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Removes the folder, once; processes that have mapped its files are not affected."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, -1
        if lock >= 0:  # the descriptor may have been reused: never close it twice
            os.close(lock)


def use(folder: Path | None) -> None:
    """From now on, this process shares derived arrays with all that use the same folder; None: with none."""
    global _folder
    _folder = folder


def shared(source: np.ndarray, form: str, make: Callable[[], Any]) -> Any:
    """Returns `make()`, an array derived from `source`; read-only if shared.

    `source`: must be memory-mapped, or else nothing is shared. `form`: distinguishes arrays derived from the
    same source. If the folder cannot be written, each process computes its own.
    """
    file = _file_of(source)
    if _folder is None or file is None or source.nbytes < LEAST:
        return make()
    try:
        return _mapped(_folder / _place(file) / f"{_name(file, form)}.npy", make)
    except OSError:
        return make()


def map_file(file: Path) -> Any:
    """Memory-maps a `.npy` file, and records the file's state for `link`."""
    import numpy as np

    state = _state(file)
    mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    if isinstance(mapped, np.memmap):
        mapped.__dict__["state"] = state
    return mapped


def link(array: np.ndarray, to: Path) -> bool:
    """Hard-links `to` to the `.npy` file that an array is mapped from; returns whether that succeeded.

    It does not if the array is only part of the file, or if the file has been replaced since.
    """
    base = _mapping(array)
    state = None if base is None else base.__dict__.get("state")
    if base is None or state is None or array.nbytes < LEAST:
        return False
    same = array.shape == base.shape and array.dtype == base.dtype and array.strides == base.strides
    file = Path(str(base.filename))
    if not same or array.__array_interface__["data"] != base.__array_interface__["data"]:
        return False
    try:
        if _state(file) != state:
            return False
        os.link(file, to)
    except OSError:  # another file system, or one without hard links
        return False
    if _state(to) == state:
        return True
    to.unlink()
    return False


def linked_from(folder: Path, names: Mapping[str, str]) -> dict[tuple[int, int], str]:
    """Device and inode of some files of a folder -> the value given for their name, such as a checksum."""
    found = {}
    for name, value in names.items():
        with suppress(OSError):
            state = (folder / name).stat()
            found[state.st_dev, state.st_ino] = value
    return found


def _state(file: Path) -> tuple[int, int, int, int]:
    """Identifies a file's content: changes if another file takes its place."""
    state = file.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def drop(model: Path) -> None:
    """Removes the arrays derived from a model that is no longer served."""
    if _folder is not None:
        shutil.rmtree(_folder / _digest(str(model.resolve())), ignore_errors=True)


def _mapped(path: Path, make: Callable[[], Any]) -> Any:
    import fcntl

    import numpy as np

    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits instead of computing it again
            if not path.is_file():
                part = path.with_suffix(".part")
                with part.open("wb") as file:
                    np.save(file, make(), allow_pickle=False)
                part.rename(path)
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _mapping(array: np.ndarray) -> np.memmap[Any, Any] | None:
    """The memory map underlying an array, or None."""
    import numpy as np

    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base if isinstance(base, np.ndarray) else None
    return None if base is None or base.filename is None else base


def _file_of(array: np.ndarray) -> Path | None:
    """The file that an array is mapped from, or None."""
    base = _mapping(array)
    return None if base is None else Path(str(base.filename))


def _place(file: Path) -> str:
    """The subfolder for the model that a file belongs to."""
    if _folder is not None and file.is_relative_to(_folder):
        return file.parent.name
    model = next((p for p in file.parents if (p / MANIFEST).is_file()), file.parent)
    return _digest(str(model.resolve()))


def _name(file: Path, form: str) -> str:
    state = file.stat()
    return _digest(f"{file.resolve()} {state.st_ino} {state.st_mtime_ns} {state.st_size} {form}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
