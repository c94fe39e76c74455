"""Kills a process that receives events, again and again, and counts what was lost.

    python benchmarks/kills.py --store sqlite --kills 300 --out runs/kills
    python benchmarks/kills.py --store postgres --kills 300 --out runs/kills
    python benchmarks/kills.py --store sqlite --kills 30 --http demo/model --out runs/kills

A small process opens the service's own `Store`, writes numbered batches and says which were acknowledged. It
gets SIGKILL at a random moment and is restarted at the first unacknowledged batch, like a client that resends
what was not answered. With PostgreSQL, the database is also shut down immediately (SIGQUIT), or one of its
processes killed, while events arrive; the process must recover by itself. `--http` does the same to the whole
service. SIGKILL leaves the operating system alive: this tests ordering and recovery, not what a disk does in
a power failure.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from local_servers import Postgres, free_port, with_us

from crossaisle.errors import StoreError
from crossaisle.progress import bar
from crossaisle.serve.store.schema import COLUMNS
from crossaisle.serve.store.store import Event, Store

WINDOW = 16
"""Batches under way at once."""


def batch(number: int) -> list[Event]:
    """The same events for the same number, of one user, so that half a batch would be noticed."""
    rng = random.Random(number)
    return [
        Event(f"{number}-{n}", f"b{number}", f"{number}-{n}", "view", 1e9 + number)
        for n in range(rng.randint(1, 7))
    ]


def ingest(place: str, first: int) -> None:
    """The process that is killed."""
    store = Store(place)
    os.write(1, b"open\n")
    again: deque[int] = deque()
    slots = threading.Semaphore(WINDOW)

    def done(number: int, future: Any) -> None:
        if future.exception() is None:
            os.write(1, b"%d\n" % number)
        else:
            again.append(number)
        slots.release()

    next_one = first
    while True:
        slots.acquire()
        if again:
            number = again.popleft()
        else:
            number, next_one = next_one, next_one + 1
        try:
            store.add(batch(number)).add_done_callback(partial(done, number))
        except StoreError:
            again.append(number)
            slots.release()
            time.sleep(0.02)


class Ingest:
    """`ingest` in a process of its own, and what it acknowledged."""

    def __init__(self, place: str, acknowledged: set[int]) -> None:
        first = next(n for n in range(len(acknowledged) + 1) if n not in acknowledged)
        self.acknowledged, self.mine = acknowledged, set[int]()
        self.opened = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--ingest", place, "--first", str(first)],
            stdout=subprocess.PIPE,
            preexec_fn=with_us,
        )
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == b"open\n":
                self.opened.set()
            elif line.endswith(b"\n"):
                self.mine.add(int(line))
        self.acknowledged |= self.mine

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Service:
    """The whole service, and a client of four connections."""

    def __init__(self, place: str, acknowledged: set[int], model: str) -> None:
        self.port = free_port()
        command = [
            sys.executable,
            "-m",
            "crossaisle",
            "serve",
            model,
            "--store",
            place,
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=with_us
        )
        self.acknowledged, self.mine, self.stopped = acknowledged, set[int](), False
        self.opened = threading.Event()
        first = next(n for n in range(len(acknowledged) + 1) if n not in acknowledged)
        self.numbers = iter(range(first, 10**9))
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._send) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def _send(self) -> None:
        number: int | None = None
        while not self.stopped:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                while not self.stopped:
                    if number is None:
                        with self.lock:
                            number = next(self.numbers)
                    body = json.dumps([event._asdict() for event in batch(number)])
                    connection.request("POST", "/api/events", body, {"content-type": "application/json"})
                    answer = connection.getresponse()
                    answer.read()
                    self.opened.set()
                    if answer.status == 200:
                        with self.lock:
                            self.mine.add(number)
                        number = None
                    else:
                        assert answer.status == 503, answer.status
                        time.sleep(0.05)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stopped = True
        for thread in self.threads:
            thread.join()
        self.acknowledged |= self.mine


@dataclass
class Report:
    """The result."""

    store: str
    kills: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    """How often each thing was killed."""
    opened: int = 0
    """How often the store could be opened afterwards."""
    acknowledged_batches: int = 0
    acknowledged_events: int = 0
    lost: int = 0
    """Acknowledged batches that are missing, right after a kill or at the end."""
    doubled: int = 0
    """Duplicate events."""
    torn: int = 0
    """Batches of which only a part is stored."""
    slowest_open_seconds: float = 0.0
    slowest_return_seconds: float = 0.0
    """From the database's start to the next acknowledgement, without a restart of the process."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.opened == self.kills and not (self.lost or self.doubled or self.torn)


def run(options: argparse.Namespace) -> Report:
    report, rng = Report(options.store), random.Random(options.seed)
    killed: Counter[str] = Counter()
    acknowledged: set[int] = set()
    start = time.perf_counter()
    database = None
    if options.store == "postgres":
        database = Postgres()
        place = database.url
    else:
        place = str(options.out / "killed.sqlite")
        for file in options.out.glob("killed.sqlite*"):
            file.unlink()
    try:
        with bar("kills", options.kills, show=True) as advance:
            for _ in range(options.kills):
                before = set(acknowledged)
                process = (
                    Service(place, acknowledged, options.http)
                    if options.http
                    else Ingest(place, acknowledged)
                )
                try:
                    killed[one_kill(process, database, rng, report)] += 1
                finally:
                    process.kill()
                report.kills += 1
                check(place, acknowledged - before, report)
                advance(1)
        check_all(place, acknowledged, report)
    finally:
        if database is not None:
            database.close()
    report.killed = dict(killed)
    report.acknowledged_batches = len(acknowledged)
    report.acknowledged_events = sum(len(batch(n)) for n in acknowledged)
    report.seconds = round(time.perf_counter() - start, 1)
    return report


def one_kill(process: Ingest | Service, database: Any, rng: random.Random, report: Report) -> str:
    """Waits for a random moment and kills something; the process itself is killed afterwards in any case."""
    if rng.random() < 0.1:
        time.sleep(rng.uniform(0.0, 0.5))  # possibly before the store is open
        return "process, at its start"
    end = time.monotonic() + 60
    while not process.opened.wait(0.2):
        if process.process.poll() is not None:
            raise SystemExit(f"the process ended by itself ({process.process.returncode})")
        if time.monotonic() > end:
            raise SystemExit("the store was not opened within a minute")
    time.sleep(rng.uniform(0.0, 0.25))
    if database is None or rng.random() < 0.7:
        return "process"
    if rng.random() < 0.5:
        database.stop(signal.SIGQUIT)
        database.start()
        what = "database, shut down at once"
    else:
        os.kill(writing_backend(database.url), signal.SIGKILL)
        what = "database's own process"
    start, heard = time.perf_counter(), len(process.mine)
    # Acknowledgements on their way still arrive; beyond one window they must be new.
    while len(process.mine) <= heard + WINDOW:
        if time.perf_counter() - start > 30:
            raise SystemExit("nothing was acknowledged for 30 s after the database came back")
        time.sleep(0.005)
    report.slowest_return_seconds = max(report.slowest_return_seconds, round(time.perf_counter() - start, 3))
    return what


def writing_backend(url: str) -> int:
    """Process id of the database's end of the writer's connection."""
    import psycopg

    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossaisle' "
            "ORDER BY backend_start LIMIT 1"
        ).fetchone()
    assert found is not None
    return int(found[0])


def check(place: str, news: set[int], report: Report) -> None:
    """Opens the store as the next process would, and looks for what was acknowledged since the last kill."""
    start = time.perf_counter()
    with closing(Store(place)) as store:
        report.opened += 1
        report.slowest_open_seconds = max(report.slowest_open_seconds, round(time.perf_counter() - start, 3))
        query = f'SELECT {COLUMNS} FROM events WHERE "user" = ? ORDER BY seq'
        for number in latest(news):
            with store.reading() as connection:
                kept = [Event(*row) for row in connection.execute(query, (f"b{number}",))]
            report.lost += kept != batch(number)


def latest(numbers: set[int], most: int = 50) -> list[int]:
    """The latest batches, which a kill could affect."""
    return sorted(numbers)[-most:]


def check_all(place: str, acknowledged: set[int], report: Report) -> None:
    """Checks everything: nothing lost, no duplicates, no partial batches."""
    seen: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    with closing(Store(place)) as store:
        for _, event in store.events():
            seen[event.item] += 1
            sizes[event.user] += 1
        if "://" not in place:
            with store.reading() as connection:
                whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
                assert whole == "ok", whole
    report.doubled = sum(n - 1 for n in seen.values())
    report.torn = sum(n != len(batch(int(user[1:]))) for user, n in sizes.items())
    report.lost += sum(f"b{number}" not in sizes for number in acknowledged)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="kind of store (default: %(default)s)",
    )
    parser.add_argument("--kills", type=int, default=300, help="times to kill (default: %(default)s)")
    parser.add_argument("--http", metavar="MODEL", help="kill the whole service, with this saved model")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--ingest", metavar="STORE", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest:
        ingest(options.ingest, options.first)
        return
    if options.out is None:
        parser.error("--out DIR is needed")
    options.out.mkdir(parents=True, exist_ok=True)
    report = run(options)
    name = f"{options.store}{'-http' if options.http else ''}.json"
    (options.out / name).write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(json.dumps(asdict(report), indent=2))
    if not report.good:
        raise SystemExit("events were lost, duplicated or partly stored, or the store did not open")


if __name__ == "__main__":
    main()
