"""Takes the store away from a running service in ten ways, while a client sends events, and compares:

    python benchmarks/store_faults.py --model demo/model --out runs/store_faults
    python benchmarks/store_faults.py --model demo/model --out runs/store_faults --only full --only locked
    python benchmarks/store_faults.py --model demo/model --out runs/store_faults --workers 2

removed, replaced (`mv` of another store), overwritten (in place, by a backup), full (a file system of 16 MB,
where root may mount one; else the operating system lets the service's files grow no further), damaged (pages
of the file), read-only, locked (by another process), restored (SQLite's own backup, into the running store),
clock (moved two days ahead and back, as Python tells the time), second (another service on the same store).

Each begins with a new store. The client remembers what was acknowledged. Measured is how long it takes until
readiness, `crossaisle_store_up` and the log tell; how many acknowledged events are not in the file that the
operator ends up with (where the file was taken away, of those sent after that); whether events are taken
again once it is mended, by itself or after a new start; and whether the file is whole in the end. Where
nothing was refused, lost or broken, a file that may not be written, SQLite's own backup, a moved clock and a
second service that is refused need not be told. Only 127.0.0.1.
Leaves with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from served import Bars, Served, say, table, workplace

DURING, HEAL = 7.0, 10.0
"""Seconds of events with the fault, and at most until it has healed."""
TOLD_SECONDS = 2.0
EVERY = 0.05
SMALL = 16_000_000
"""Bytes of the file system that gets full."""
OLD, LEAST = 100, 1200
"""Events when the backup is made, and at least before anything happens: several checkpoints later."""


class Sent(NamedTuple):
    """An event, and what became of it."""

    key: str
    start: float
    end: float
    status: int
    accepted: bool


class Sender(threading.Thread):
    """One event after the other, each once."""

    def __init__(self, served: Served, item: str) -> None:
        super().__init__(daemon=True)
        self.served, self.item, self.sent, self.stopped = served, item, list[Sent](), False
        self.time: Callable[[], float] | None = None

    def run(self) -> None:
        number = 0
        while not self.stopped:
            key, number = f"event-{number}", number + 1
            body = {"user": f"person-{number % 40}", "item": self.item, "key": key}
            if self.time is not None and number % 2:
                body["time"] = self.time()  # a client whose clock is right
            start = time.monotonic()
            answer = self.served.ask("POST", "/api/events", json.dumps(body), timeout=20)
            accepted = answer.status == 200 and answer.json["accepted"] == 1
            self.sent.append(Sent(key, start, time.monotonic(), answer.status, accepted))
            time.sleep(0.002 if answer.status == 200 else 0.02)

    def close(self) -> None:
        self.stopped = True
        self.join()


@dataclass
class Probe:
    """Looks at what an operator looks at, again and again."""

    served: Served
    told: dict[str, float] = field(default_factory=dict)
    """Moments at which each said for the first time since `fault` that something is wrong."""
    lists: Counter[int] = field(default_factory=Counter)
    fault: float = 0.0
    log_bytes: int = 0
    """Of the log before the fault."""
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Probe:
        self._threads = [threading.Thread(target=self._look, args=(what,), daemon=True) for what in LOOKS]
        for thread in self._threads:
            thread.start()
        return self

    def begin(self) -> None:
        """The fault is there from now on."""
        self.fault = time.monotonic()

    def _look(self, what: str) -> None:
        while not self._done.wait(EVERY):
            asked = self.fault
            wrong = LOOKS[what](self)
            if asked and what not in self.told and wrong:
                self.told[what] = time.monotonic()

    def health(self) -> bool:
        answer = self.served.ask("GET", "/api/health/ready", timeout=5)
        return answer.status != 0 and (answer.status != 200 or answer.json.get("store") != "up")

    def metrics(self) -> bool:
        answer = self.served.ask("GET", "/metrics", timeout=5)
        lines = answer.body.decode(errors="replace").splitlines()
        return any(line.startswith("crossaisle_store_up") and line.endswith(" 0") for line in lines)

    def log(self) -> bool:
        return self.served.log.stat().st_size > self.log_bytes

    def asked(self) -> bool:
        self.lists[self.served.ask("GET", "/api/recommend/person-1", timeout=5).status] += bool(self.fault)
        return False

    def seconds(self) -> dict[str, float | None]:
        """From the fault until each told."""
        return {
            what: round(self.told[what] - self.fault, 2) if what in self.told else None
            for what in ("health", "metrics", "log")
        }

    def close(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


LOOKS: dict[str, Callable[[Probe], bool]] = {
    "health": Probe.health,
    "metrics": Probe.metrics,
    "log": Probe.log,
    "lists": Probe.asked,
}


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


# Faults, and how they are mended


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
    # The file may have room inside; the disk is full when the first event finds none.
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
    """A third of the pages, but not the first."""
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
    """Another service on the same store; its end within 20 s is what is wanted."""
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
    """Only a new start, which is tried in any case, can help."""


@dataclass(frozen=True)
class Fault:
    """What happens, what mends it, and what counts."""

    happens: Callable[[Stage], None]
    mended: Callable[[Stage], None] = nothing
    all_events: bool = False
    """Also those of before the fault must be in the file at the end."""
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
"""What a service starts with whose clock can be moved; `datetime` is not."""


@dataclass
class Found:
    """What came of a fault."""

    fault: str
    told: dict[str, float | None]
    answers: dict[str, int]
    """To events, from the fault until it was mended."""
    acknowledged: int
    """Events that count."""
    lost: int
    heals: str
    whole: bool
    """Whether SQLite finds nothing wrong with the file in the end."""
    lists: dict[str, int]
    notes: list[str]
    need_tell: bool

    @property
    def told_in_time(self) -> bool:
        return all(s is not None and s <= TOLD_SECONDS for s in self.told.values())


def one_fault(name: str, model: Path, folder: Path, options: argparse.Namespace, item: str) -> Found:
    fault = FAULTS[name]
    environment, prefix = {}, ()
    if name == "clock":
        (folder / "moved").mkdir()
        text = CLOCK.replace("CLOCK_FILE", repr(str(folder / "clock")))
        (folder / "moved" / "sitecustomize.py").write_text(text)
        paths = [str(folder / "moved"), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if name == "read-only" and os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            return _skipped(name, "root may write everything, and setpriv is not here")
        prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")  # then root may not, either
    with disk(folder, small=name == "full") as place:
        store = place / "store.sqlite"
        log = options.out / f"{name}.log"
        log.unlink(missing_ok=True)
        served = Served(
            model, store, log=log, workers=options.workers, environment=environment, prefix=prefix
        )
        served.start()
        sender, probe = Sender(served, item), Probe(served)
        stage = Stage(served, place, sender, probe, store, folder / "backup.sqlite")
        try:
            return _through(name, fault, stage)
        finally:
            sender.stopped = True
            served.stop()


def _through(name: str, fault: Fault, stage: Stage) -> Found:
    served, sender, probe = stage.served, stage.sender, stage.probe
    sender.start()
    probe.start()
    while len(sender.sent) < OLD:
        time.sleep(0.05)
    with closing(sqlite3.connect(stage.store)) as now, closing(sqlite3.connect(stage.backup)) as good:
        now.backup(good)
        good.execute("PRAGMA journal_mode=DELETE")
    while len(sender.sent) < LEAST:
        time.sleep(0.05)
    instant = name == "full"  # counts from the first event that finds no room
    probe.log_bytes = served.log.stat().st_size
    if not instant:
        probe.begin()
    start = time.monotonic()
    fault.happens(stage)
    happened = time.monotonic()
    if instant:
        probe.begin()
        start = sender.sent[-1].start
    time.sleep(max(0.0, start + DURING - time.monotonic()))
    told = probe.seconds()
    mended = time.monotonic()
    answers = Counter(str(one.status) for one in sender.sent if one.start >= start)
    fault.mended(stage)
    heals = _healed(stage, "by itself")
    if heals == "no":
        sender.close()
        served.stop()
        # What it was when the service ended; a new start may need a good copy in its place.
        kept, whole = keys_of(stage.store), is_whole(stage.store)
        heals = _restarted(stage)
    else:
        time.sleep(1)
        sender.close()
        served.stop()
        kept, whole = keys_of(stage.store), is_whole(stage.store)
    probe.close()
    since = 0.0 if fault.all_events else happened
    counted = {one.key for one in sender.sent if one.accepted and one.start >= since}
    lost = counted - kept
    refused = any(status != "200" for status in answers)
    if name == "second" and not stage.notes[-1].startswith("refused"):
        heals = "no"
    return Found(
        fault=name,
        told=told,
        answers=dict(answers),
        acknowledged=len(counted),
        lost=len(lost),
        heals=heals,
        whole=whole,
        lists={str(status): n for status, n in probe.lists.items() if n},
        notes=[*stage.notes, f"{mended - start:.1f} s"],
        need_tell=fault.must_tell or refused or bool(lost) or not whole,
    )


def _healed(stage: Stage, how: str) -> str:
    """Whether events are taken (again)."""
    since, end = time.monotonic(), time.monotonic() + HEAL
    while time.monotonic() < end:
        latest = [one for one in stage.sender.sent[-5:] if one.start >= since]
        if len(latest) == 5 and all(one.status == 200 for one in latest):
            return how
        time.sleep(0.05)
    return "no"


def _restarted(stage: Stage) -> str:
    """A new start; with a good copy in the store's place where it is refused."""
    for how in ("after a new start", "after a backup was put back"):
        try:
            stage.served.start()
        except SystemExit as refused:
            stage.notes.append(str(refused)[-200:])
            stage.served.stop()
            for file in stage.files():
                file.unlink()
            put_back(stage)
            continue
        body = json.dumps({"user": "a", "item": "b", "key": f"again-{how}"})
        return how if stage.served.ask("POST", "/api/events", body).status == 200 else "no"
    return "no"


def keys_of(store: Path) -> set[str]:
    """Keys of events that a file holds, as far as it can be read: from its beginning and from its end."""
    found: set[str] = set()
    if not store.exists():
        return found
    with closing(sqlite3.connect(store)) as connection:
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.Error):
                for (key,) in connection.execute(f"SELECT key FROM events ORDER BY seq {order}"):
                    found.add(key)
    return found


@contextmanager
def disk(folder: Path, small: bool) -> Iterator[Path]:
    """A folder for the store; a file system of its own, which is soon full, where one may be mounted."""
    place = folder / "store"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "crossaisle-bench", str(place)]
    mounted = small and os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], capture_output=True, check=False)


def is_whole(store: Path) -> bool:
    """As SQLite says; a file that is gone is not damaged."""
    if not store.exists():
        return True
    with closing(sqlite3.connect(store)) as connection, suppress(sqlite3.Error):
        return bool(connection.execute("PRAGMA quick_check").fetchone()[0] == "ok")
    return False


def _skipped(name: str, why: str) -> Found:
    return Found(name, {}, {}, 0, 0, "skipped", True, {}, [why], False)


def row(found: Found) -> tuple[str, ...]:
    seconds = ["-" if (s := found.told.get(w)) is None else f"{s:.2f}" for w in ("health", "metrics", "log")]
    answers = " ".join(f"{status}:{n}" for status, n in sorted(found.answers.items()))
    lists = " ".join(f"{status}:{n}" for status, n in sorted(found.lists.items()))
    return (
        found.fault,
        *seconds,
        str(found.acknowledged),
        str(found.lost),
        found.heals,
        "yes" if found.whole else "NO",
        answers,
        lists,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=list(FAULTS), help="may be repeated")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    from crossaisle.data.storage import load_dataset

    options.out.mkdir(parents=True, exist_ok=True)
    found: list[Found] = []
    with workplace(options.model) as (folder, model):
        dataset = load_dataset(model / "catalogue")
        item = dataset.item_ids.id(int(dataset.item_counts.argmax()))
        for name in options.only or FAULTS:
            say(name)
            place = folder / name
            place.mkdir()
            found.append(one_fault(name, model, place, options, item))
            say("  " + "  ".join(row(found[-1])) + "  " + "; ".join(found[-1].notes))
    head = (
        "fault",
        "health s",
        "metrics s",
        "log s",
        "acknowledged",
        "lost",
        "heals",
        "whole",
        "events",
        "lists",
    )
    print(table(head, [row(one) for one in found]))
    bars = Bars()
    for one in found:
        if one.heals == "skipped":
            continue
        bars.add(f"{one.fault}: acknowledged and lost", "0", one.lost, not one.lost)
        if one.need_tell:
            told = ", ".join(f"{what} {'never' if s is None else s}" for what, s in one.told.items())
            bars.add(f"{one.fault}: told", "all <= 2 s", told, one.told_in_time)
        bars.add(f"{one.fault}: heals", "not no", one.heals, one.heals != "no")
    bars.end(options.out, {"workers": options.workers, "faults": [asdict(one) for one in found]})


if __name__ == "__main__":
    main()
