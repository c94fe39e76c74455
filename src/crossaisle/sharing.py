"""Arrays that are stored in a small form and used in a larger one, converted once for all workers.

Arrays used as they are stored are memory-mapped, and the operating system keeps them once for everybody. What
is made of them (float32 of float16, a dense matrix of a sparse one) would take memory in each process. So
the first process that needs it writes it into a folder of the service, and all map that file. Without such a
folder, the usual case, `shared` only makes the array.
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
"""The file that marks the folder of a saved model; `artifact` writes it."""
PREFIX = "crossaisle-workers-"
LEAST = 1 << 20
"""Smaller arrays are not worth a file."""
_folder: Path | None = None


class SharedFolder:
    """A folder for the time of one service, in the folder for temporary files."""

    def __init__(self) -> None:
        import fcntl

        for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):  # of a service that still runs, or of another user
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
        """Removes it, once; processes that have mapped its files may go on."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, -1
        if lock >= 0:  # a number that is closed twice may be somebody else's by then
            os.close(lock)


def use(folder: Path | None) -> None:
    """From now on this process shares what it makes with all that use the same folder; None: with none."""
    global _folder
    _folder = folder


def shared(source: np.ndarray, form: str, make: Callable[[], Any]) -> Any:
    """What `make` makes of `source`: an array, read-only where it is shared.

    `source`: an array that is memory-mapped, or else nothing is shared. `form`: tells apart what is made of
    the same array. Where the folder cannot be written, each process has its own.
    """
    file = _file_of(source)
    if _folder is None or file is None or source.nbytes < LEAST:
        return make()
    try:
        return _mapped(_folder / _place(file) / f"{_name(file, form)}.npy", make)
    except OSError:
        return make()


def map_file(file: Path) -> Any:
    """An array of a `.npy` file, memory-mapped, of which `link` knows where it lies."""
    import numpy as np

    state = _state(file)
    mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    if isinstance(mapped, np.memmap):
        mapped.__dict__["state"] = state
    return mapped


def link(array: np.ndarray, to: Path) -> bool:
    """Makes `to` a hard link to the `.npy` file that an array is mapped from; whether that could be done.

    Not where the array is a part of it, nor where another file has taken its place.
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
    except OSError:  # another file system, or one without links
        return False
    if _state(to) == state:
        return True
    to.unlink()
    return False


def linked_from(folder: Path, names: Mapping[str, str]) -> dict[tuple[int, int], str]:
    """Device and number of some files of a folder -> what belongs to them, by name, as their checksum."""
    found = {}
    for name, value in names.items():
        with suppress(OSError):
            state = (folder / name).stat()
            found[state.st_dev, state.st_ino] = value
    return found


def _state(file: Path) -> tuple[int, int, int, int]:
    """What tells a file from another one in its place."""
    state = file.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def drop(model: Path) -> None:
    """Removes what was made of a model that is no longer served."""
    if _folder is not None:
        shutil.rmtree(_folder / _digest(str(model.resolve())), ignore_errors=True)


def _mapped(path: Path, make: Callable[[], Any]) -> Any:
    import fcntl

    import numpy as np

    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the second process waits instead of making it again
            if not path.is_file():
                part = path.with_suffix(".part")
                with part.open("wb") as file:
                    np.save(file, make(), allow_pickle=False)
                part.rename(path)
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _mapping(array: np.ndarray) -> np.memmap[Any, Any] | None:
    """The memory map that an array is made of."""
    import numpy as np

    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base if isinstance(base, np.ndarray) else None
    return None if base is None or base.filename is None else base


def _file_of(array: np.ndarray) -> Path | None:
    """The file that an array is mapped from."""
    base = _mapping(array)
    return None if base is None else Path(str(base.filename))


def _place(file: Path) -> str:
    """The part of the folder for the model that a file belongs to."""
    if _folder is not None and file.is_relative_to(_folder):
        return file.parent.name
    model = next((p for p in file.parents if (p / MANIFEST).is_file()), file.parent)
    return _digest(str(model.resolve()))


def _name(file: Path, form: str) -> str:
    state = file.stat()
    return _digest(f"{file.resolve()} {state.st_ino} {state.st_mtime_ns} {state.st_size} {form}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
