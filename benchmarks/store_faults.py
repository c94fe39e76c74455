"""Takes the store away from a running service in ten ways, while a client sends events.

    python benchmarks/store_faults.py --model demo/model --out runs/store_faults
    python benchmarks/store_faults.py --model demo/model --out runs/store_faults --only full --only locked
    python benchmarks/store_faults.py --model demo/model --out runs/store_faults --workers 2

The faults (in `store_fault_kinds.py`): removed; replaced (another store moved into its place); overwritten
(in place, by a backup); full (a file system of 16 MB where root may mount one, else a limit on the size of
the service's files); damaged (pages of the file); read-only; locked (by another process); restored (SQLite's
own backup, into the running store); clock (two days ahead and back, as Python reads the time); second
(another service on the same store).

Each fault begins with a new store, and the client remembers what was acknowledged. Measured are the seconds
until readiness, `crossaisle_store_up` and the log report the fault; the acknowledged events that are missing
from the file the operator ends up with (of those sent after the file was taken away, if it was); whether
events are accepted again after the repair, without or with a restart; and whether the file is intact at the
end. If nothing was refused, lost or broken, a read-only file, SQLite's own backup, a moved clock and a second
service that is refused need not be reported. Uses 127.0.0.1 only. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from served import Bars, Served, say, table, workplace
from store_fault_kinds import CLOCK, FAULTS, Fault, Stage, put_back
from store_watch import Probe, Sender

DURING, HEAL = 7.0, 10.0
"""Seconds of events during the fault, and the most to wait for recovery."""
TOLD_SECONDS = 2.0
SMALL = 16_000_000
"""Bytes of the file system that fills up."""
OLD, LEAST = 100, 1200
"""Events when the backup is made, and the least before the fault, several checkpoints later."""


@dataclass
class Found:
    """The effects of a fault."""

    fault: str
    told: dict[str, float | None]
    answers: dict[str, int]
    """Answers to events between the fault and its repair."""
    acknowledged: int
    """Events that count."""
    lost: int
    heals: str
    whole: bool
    """Whether SQLite finds the file intact at the end."""
    lists: dict[str, int]
    notes: list[str]
    need_tell: bool

    @property
    def told_in_time(self) -> bool:
        return all(s is not None and s <= TOLD_SECONDS for s in self.told.values())


def one_fault(name: str, model: Path, folder: Path, options: argparse.Namespace, item: str) -> Found:
    fault = FAULTS[name]
    environment: dict[str, str] = {}
    prefix: tuple[str, ...] = ()
    if name == "clock":
        (folder / "moved").mkdir()
        text = CLOCK.replace("CLOCK_FILE", repr(str(folder / "clock")))
        (folder / "moved" / "sitecustomize.py").write_text(text)
        paths = [str(folder / "moved"), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if name == "read-only" and os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            return _skipped(name, "root may write everything, and setpriv is not here")
        prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")  # binds root, too
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
    instant = name == "full"  # starts at the first event that finds no room
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
        # The file when the service ended; a restart may need a good copy in its place.
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
    """Whether events are accepted (again)."""
    since, end = time.monotonic(), time.monotonic() + HEAL
    while time.monotonic() < end:
        latest = [one for one in stage.sender.sent[-5:] if one.start >= since]
        if len(latest) == 5 and all(one.status == 200 for one in latest):
            return how
        time.sleep(0.05)
    return "no"


def _restarted(stage: Stage) -> str:
    """Restarts the service; if that is refused, puts a good copy in the store's place first."""
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
    """Keys of the events in a file, as far as it can be read from its beginning and from its end."""
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
    """A folder for the store; a small file system of its own if one may be mounted."""
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
    """Whether SQLite finds the file intact; a missing file is not damaged."""
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
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--only", action="append", choices=list(FAULTS), help="only this fault; may be repeated"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes of the service (default: %(default)s)"
    )
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
