"""One update of a saved model at a time: of two, the later to save would undo the other."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossaisle.errors import ArtifactError

PRIVATE = 0o600
# Windows has no such locks: there the manifest tells whether another update was quicker.
_fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


@contextmanager
def updating(model: Path) -> Iterator[None]:
    """Raises `ArtifactError` where another process updates the model.

    Holds a lock on a hidden file beside the model, which is never deleted: a deleted file locks nobody. Where
    none can be had (a file system without locks), the update goes on without.
    """
    model = model.resolve()
    try:
        handle = os.open(model.with_name(f".{model.name}.updating"), os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError:  # no place to write: whoever has something to save is told then
        yield
        return
    try:
        _lock(handle, model)
        yield
    finally:
        os.close(handle)  # and with it the lock goes, as it does when the process ends


def _lock(handle: int, model: Path) -> None:
    if _fcntl is None:
        return
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        raise ArtifactError(
            f"{model}: another process is updating this model: run this update again when that one is done"
        ) from None
    except OSError:
        return
