"""The faults of `store_faults.py`: ways to take the store from a running service, and their repair.

A fault is a function of a `Stage` that makes something happen; a second function repairs it. `FAULTS` names
them.
"""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from served import Served
from store_watch import Probe, Sender


@dataclass
class Stage:
    """Where one fault happens."""

    served: Served
    folder: Path
    """The store's own."""
    sender: Sender
    probe: Probe
    store: Path
    backup: Path
    """A good copy of an earlier moment."""
    lock: sqlite3.Connection | None = None
    second: subprocess.Popen[bytes] | None = None
    notes: list[str] = field(default_factory=list)

    def files(self) -> list[Path]:
        return [file for end in ("", "-wal", "-shm") if (file := Path(f"{self.store}{end}")).exists()]


# Faults and their repair


def removed(stage: Stage) -> None:
    for file in stage.files():
        file.unlink()


def put_back(stage: Stage) -> None:
    shutil.copy(stage.backup, stage.store)


def replaced(stage: Stage) -> None:
    other = stage.store.with_name("other.sqlite")
    shutil.copy(stage.backup, other)
    for file in stage.files():
        file.rename(file.with_name(file.name.replace("store", "old")))
    other.rename(stage.store)


def overwritten(stage: Stage) -> None:
    stage.store.write_bytes(stage.backup.read_bytes())


def full(stage: Stage) -> None:
    if stage.folder.is_mount():
        with suppress(OSError), (stage.folder / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
    else:
        largest = max(file.stat().st_size for file in stage.files())
        _let_grow(stage, largest + 10_000)
    # The file may have room inside: the disk counts as full from the first event that finds none.
    end = time.monotonic() + 60
    while stage.sender.sent[-1].status == 200 and time.monotonic() < end:
        time.sleep(0.01)


def emptied(stage: Stage) -> None:
    if stage.folder.is_mount():
        (stage.folder / "filler").unlink()
    else:
        _let_grow(stage, resource.RLIM_INFINITY)


def _let_grow(stage: Stage, size: int) -> None:
    for pid in stage.served.serving():
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def damaged(stage: Stage) -> None:
    """Damages a third of the pages, but not the first."""
    rng = random.Random(0)
    with stage.store.open("r+b") as file:
        pages = stage.store.stat().st_size // 4096
        for page in rng.sample(range(1, pages), max(pages // 3, 1)):
            file.seek(page * 4096)
            file.write(rng.randbytes(4096))


def read_only(stage: Stage) -> None:
    for file in stage.files():
        file.chmod(0o444)
    stage.folder.chmod(0o555)


def writable(stage: Stage) -> None:
    stage.folder.chmod(0o755)
    for file in stage.files():
        file.chmod(0o644)


def locked(stage: Stage) -> None:
    stage.lock = sqlite3.connect(stage.store, isolation_level=None, timeout=20, check_same_thread=False)
    stage.lock.execute("BEGIN IMMEDIATE")


def unlocked(stage: Stage) -> None:
    assert stage.lock is not None
    stage.lock.execute("ROLLBACK")
    stage.lock.close()


def restored(stage: Stage) -> None:
    with (
        closing(sqlite3.connect(stage.backup)) as good,
        closing(sqlite3.connect(stage.store, timeout=20)) as now,
    ):
        good.backup(now)


def ahead(stage: Stage) -> None:
    stage.sender.time = time.time
    (stage.folder.parent / "clock").write_text(str(2 * 86_400))


def back(stage: Stage) -> None:
    (stage.folder.parent / "clock").write_text("-3600")


def second(stage: Stage) -> None:
    """Starts another service on the same store, which should end within 20 s."""
    other = Served(stage.served.model, stage.store, log=stage.folder.parent / "second.log", key=False)
    start = time.monotonic()
    other.start(wait=False)
    assert other.process is not None
    while other.running() and time.monotonic() < start + 20:
        if other.ask("GET", "/api/health/ready", timeout=1).status == 200:
            break
        time.sleep(0.05)
    said = " ".join(other.said().split())[-300:]
    refused = not other.running() and other.process.returncode != 0
    other.stop()
    if refused:
        stage.notes.append(f"refused in {time.monotonic() - start:.1f} s: {said}")
    else:
        stage.notes.append("NOT REFUSED: the second service serves")


def nothing(stage: Stage) -> None:
    """No repair: only a restart can help, and that is tried in any case."""


@dataclass(frozen=True)
class Fault:
    """What happens, what repairs it, and what is checked."""

    happens: Callable[[Stage], None]
    mended: Callable[[Stage], None] = nothing
    all_events: bool = False
    """Whether events from before the fault must be in the file at the end."""
    must_tell: bool = True


FAULTS = {
    "removed": Fault(removed, put_back),
    "replaced": Fault(replaced),
    "overwritten": Fault(overwritten),
    "full": Fault(full, emptied, all_events=True),
    "damaged": Fault(damaged),
    "read-only": Fault(read_only, writable, all_events=True, must_tell=False),
    "locked": Fault(locked, unlocked, all_events=True),
    "restored": Fault(restored, must_tell=False),
    "clock": Fault(ahead, back, all_events=True, must_tell=False),
    "second": Fault(second, all_events=True, must_tell=False),
}
CLOCK = """
import time, pathlib
_real, _file, _state = time.time, pathlib.Path(CLOCK_FILE), [0.0, 0.0]
def _moved():
    now = time.monotonic()
    if now - _state[1] > 0.1:
        _state[1] = now
        try:
            _state[0] = float(_file.read_text() or 0)
        except (OSError, ValueError):
            pass
    return _real() + _state[0]
time.time = _moved
"""
"""Code a service starts with so that its `time.time` can be moved; `datetime` is left alone."""
