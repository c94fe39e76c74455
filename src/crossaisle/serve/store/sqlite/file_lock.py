"""`FileHolding`: one service per store, held by a lock on a file beside it.

The lock belongs to the open file: it is gone with the last process that has it open, however that ended.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from crossaisle.errors import StoreError

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.05
"""Between two tries to take a store that another service has."""
PRIVATE = 0o600
LINE = 200
"""Bytes of the file in which its holder is described."""


class FileHolding:
    """A locked file named like the store plus `.lock`. It is never deleted: a deleted file locks nobody."""

    alone = True

    def __init__(self, store: Path, seconds: float) -> None:
        """`seconds`: to wait where another service has it; then `StoreError`."""
        path = Path(f"{store.resolve()}.lock")
        self.fd: int | None = None
        try:
            self.fd = _opened(path)
            held = _locked(self.fd, seconds)
        except OSError as error:
            self.close()
            _LOG.warning(
                "%s: cannot be locked (%s): see to it that no second service serves from this store",
                path,
                error.strerror or error,
            )
            return
        if not held:
            said = _read(self.fd)
            self.close()
            raise StoreError(refusal(str(store), said))
        with suppress(OSError):  # opened for reading only, or the disk is full: it is locked all the same
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, described().encode()[:LINE], 0)

    def share(self) -> None:
        """Nobody: a file has one service."""

    def close(self) -> None:
        """Releases it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def described() -> str:
    """This process, as the refused service names it."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"process {os.getpid()} on {socket.gethostname()[:64]}, since {now}"


def refusal(store: str, holder: str) -> str:
    """The error of a second service."""
    return (
        f"{store}: is already served by {holder or 'another process'}: stop that service "
        "first, or give this one a store of its own"
    )


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), PRIVATE)
    except OSError:
        return os.open(path, os.O_RDONLY)  # of an earlier service, where nothing can be written now


def _locked(fd: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not _try_lock(fd):
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _try_lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(fd, 2**30, os.SEEK_SET)  # beyond the text, which others may read
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _read(fd: int) -> str:
    with suppress(OSError):
        os.lseek(fd, 0, os.SEEK_SET)
        return " ".join(os.read(fd, LINE).decode(errors="replace").split())
    return ""
