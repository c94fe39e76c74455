"""Kills three services that share one PostgreSQL, at random, and counts lost and duplicate events.

    python benchmarks/hosts.py --kills 100 --out runs/hosts
    python benchmarks/hosts.py --kills 100 --model demo/model --out runs/hosts

The services listen on 127.0.0.1, 127.0.0.2 and 127.0.0.3. First, with all of them up, an event is sent to one
and lists are asked of another until one of them reflects it. Then clients send numbered batches of events, of
one user each, to whichever host answers, and resend what was not acknowledged under the same keys. Meanwhile
services get SIGKILL at random moments, are paused (SIGSTOP) or cut off from the database, and restarted. At
the end every acknowledged event must be in the store once, and each host must make the same lists from them
as a host that was started afterwards. Without `--model`, a synthetic shop of 2,000 items is fitted.
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
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from local_servers import Postgres, free_port, with_us

from crossaisle.data.ingest.importer import import_frames
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.progress import bar
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.store.store import Store

HOSTS = 3
START_SECONDS = 180.0


def made_up(folder: Path, items: int = 2000, users: int = 400) -> Path:
    """A small synthetic shop with a model."""
    rng = np.random.default_rng(0)
    names = [f"i{n}" for n in range(items)]
    table = pl.DataFrame(
        {
            "item_id": names,
            "title": [f"Product {n}" for n in range(items)],
            "aisle": [f"Aisle {n % 40}" for n in range(items)],
        }
    )
    popular = 1.0 / np.arange(1, items + 1)
    chosen = rng.choice(items, users * 20, p=popular / popular.sum())
    events = pl.DataFrame(
        {
            "user_id": [f"p{n // 20}" for n in range(users * 20)],
            "item_id": [names[n] for n in chosen],
            "time": [f"2024-01-{1 + n % 28:02d} 10:00:00" for n in range(users * 20)],
        }
    )
    shop = import_frames(table, events, columns={"items": {"categories": ["aisle"]}}, name="made up").dataset
    parts = {"popularity": Popularity(), "item_knn": ItemKNN()}
    blend = Blend(parts=parts, weights={"for_you": {"popularity": 0.1, "item_knn": 1.0}})
    Recommender(shop, blend.fit(shop)).save(folder)
    return folder


class Host:
    """One `crossaisle serve` on an address of its own."""

    def __init__(self, number: int, port: int, model: Path, place: str, log: Path) -> None:
        self.address, self.port, self.log = f"127.0.0.{number + 1}", port, log
        self.command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--store", place]
        self.command += ["--host", self.address, "--port", str(port)]
        self.process: subprocess.Popen[bytes] | None = None
        self.key = ""

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, preexec_fn=with_us)

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/api/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait(self) -> float:
        """Waits until it answers; returns the seconds."""
        start = time.perf_counter()
        while True:
            if self.ready():
                return time.perf_counter() - start
            if self.process is None or self.process.poll() is not None:
                raise SystemExit(f"{self.address} ended by itself:\n{self.log.read_text()[-2000:]}")
            if time.perf_counter() - start > START_SECONDS:
                raise SystemExit(f"{self.address} does not answer:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 10.0) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        try:
            headers = {"authorization": f"Bearer {self.key}"}
            if body is not None:
                headers["content-type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Report:
    """The result."""

    kills: int = 0
    disturbed: dict[str, int] = field(default_factory=dict)
    """How often each thing was done to a host."""
    acknowledged_batches: int = 0
    acknowledged_events: int = 0
    lost: int = 0
    """Acknowledged events that are not in the store at the end."""
    doubled: int = 0
    """Events that are in the store twice."""
    lists_compared: int = 0
    lists_that_differ: int = 0
    """Users whose lists differ between hosts although all acknowledged events are in."""
    counted_ms: dict[str, float] = field(default_factory=dict)
    """From an acknowledgement at one host to the end of another's answer that reflects it."""
    counted_at_once: float = 0.0
    """Share of the events that the very next answer of the other host reflected."""
    behind_ms: dict[str, float] = field(default_factory=dict)
    """From an acknowledgement at one host to the first request to another whose answer reflects it."""
    next_answer_ms: dict[str, float] = field(default_factory=dict)
    """The time of one such answer."""
    last_start_seconds: float = 0.0
    """Start of a host that reads all events from the store."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.lists_that_differ)


def quantiles(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "p50": round(float(np.quantile(values, 0.5)), 2),
        "p99": round(float(np.quantile(values, 0.99)), 2),
        "max": round(max(values), 2),
    }


def lag(hosts: list[Host], items: list[str], n: int, report: Report) -> None:
    """How soon another host reflects an event: a new user gets a list of their own."""
    bearer = {"authorization": f"Bearer {hosts[0].key}"}
    rng, counted, behind, single, at_once = random.Random(1), [], [], [], 0
    for number in range(n):
        one, other = rng.sample(hosts, 2)
        event = {"user": f"lag{number}", "item": rng.choice(items), "key": f"lag{number}"}
        connection = http.client.HTTPConnection(other.address, other.port, timeout=10)
        connection.request("GET", "/api/health/live")
        connection.getresponse().read()
        status, said = one.ask("POST", "/api/events", event)
        start = time.perf_counter()
        assert status == 200, said
        tries = 0
        while True:
            asked = time.perf_counter()
            connection.request("GET", f"/api/recommend/lag{number}?n=5", headers=bearer)
            served = json.loads(connection.getresponse().read())["served"]
            tries += 1
            if served == "for_you":
                break
            time.sleep(0.001)
        counted.append(1000 * (time.perf_counter() - start))
        behind.append(1000 * (asked - start))
        single.append(1000 * (time.perf_counter() - asked))
        at_once += tries == 1
        connection.close()
    report.behind_ms = quantiles(behind)
    report.counted_ms, report.next_answer_ms = quantiles(counted), quantiles(single)
    report.counted_at_once = round(at_once / n, 4)


class Clients:
    """Threads that send numbered batches until told to stop; each batch to any host that answers."""

    def __init__(self, hosts: list[Host], items: list[str], threads: int = 4) -> None:
        self.hosts, self.items = hosts, items
        self.acknowledged: dict[int, list[str]] = {}
        self.wrong: list[str] = []
        self.stopped = False
        self._number, self._lock = 0, threading.Lock()
        self.threads = [threading.Thread(target=self._send, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def _send(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self.stopped:
            with self._lock:
                number, self._number = self._number, self._number + 1
            chosen = random.Random(number).sample(self.items, 1 + number % 3)
            batch = [
                {"user": f"b{number}", "item": item, "key": f"{number}-{n}", "time": 1.7e9 + n}
                for n, item in enumerate(chosen)
            ]
            while not self.stopped:
                try:
                    status, said = rng.choice(self.hosts).ask("POST", "/api/events", batch, 4.0)
                except (OSError, http.client.HTTPException, ValueError):
                    time.sleep(0.02)
                    continue
                if status == 200:
                    self.acknowledged[number] = chosen
                    break
                if status != 503:
                    self.wrong.append(f"{status}: {said}")
                    return
                time.sleep(0.05)
            time.sleep(0.01)

    def stop(self) -> None:
        self.stopped = True
        for thread in self.threads:
            thread.join()
        if self.wrong:
            raise SystemExit(f"an event was refused: {self.wrong[0]}")


def disturb(hosts: list[Host], database: Postgres, rng: random.Random, report: Report) -> str:
    """Disturbs one host at a random moment, even while it starts; another one stays up."""
    host = rng.choice(hosts)
    assert host.process is not None
    end = time.monotonic() + START_SECONDS
    while not any(other.ready() for other in hosts if other is not host):
        if any(other.process is None or other.process.poll() is not None for other in hosts):
            raise SystemExit("a host ended by itself: see the logs")
        if time.monotonic() > end:
            raise SystemExit("no host answers")
        time.sleep(0.05)
    time.sleep(rng.uniform(0.0, 0.5))
    what = rng.random()
    if what < 0.1:
        host.process.send_signal(signal.SIGSTOP)
        time.sleep(rng.uniform(0.1, 2.0))
        host.process.send_signal(signal.SIGCONT)
        return "paused"
    if what < 0.2:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crossaisle' "
            "ORDER BY random() LIMIT 3"
        )
        return "connections cut"
    host.kill()
    report.kills += 1
    time.sleep(rng.uniform(0.0, 0.3))
    host.start()
    return "killed"


def check(place: str, hosts: list[Host], clients: Clients, report: Report) -> None:
    kept: Counter[str] = Counter()
    with closing(Store(place)) as store:
        for _, event in store.events():
            kept[str(event.key)] += 1
    report.doubled = sum(n - 1 for n in kept.values())
    for number, items in clients.acknowledged.items():
        report.lost += sum(f"{number}-{n}" not in kept for n in range(len(items)))
    report.acknowledged_batches = len(clients.acknowledged)
    report.acknowledged_events = sum(map(len, clients.acknowledged.values()))
    hosts[0].kill()  # reads everything from the store
    hosts[0].start()
    report.last_start_seconds = round(max(host.wait() for host in hosts), 2)
    numbers = sorted(clients.acknowledged)
    for number in random.Random(0).sample(numbers, min(200, len(numbers))):
        answers = [host.ask("GET", f"/api/recommend/b{number}?n=10") for host in hosts]
        lists = [[(one["item_id"], round(one["score"], 4)) for one in said["items"]] for _, said in answers]
        report.lists_compared += 1
        report.lists_that_differ += any(one != lists[0] for one in lists) or any(
            said["served"] != "for_you" for _, said in answers
        )


def run(options: argparse.Namespace) -> Report:
    report, rng, start = Report(), random.Random(options.seed), time.perf_counter()
    model = options.model or made_up(options.out / "model")
    items = list(Recommender.load(model).dataset.item_ids.all)
    items = [str(name) for name in items[:: max(1, len(items) // 500)]]
    database, port = Postgres(), free_port()
    hosts = [Host(n, port, model, database.url, options.out / f"host{n}.log") for n in range(HOSTS)]
    done: Counter[str] = Counter()
    with closing(Store(database.url)) as store:  # all of 127.0.0.0/8 but the first counts as seen by others
        key = add_key(store, "benchmark", ["read", "write"])
    try:
        for host in hosts:
            host.key = key
            host.log.unlink(missing_ok=True)
            host.start()
        for host in hosts:
            host.wait()
        lag(hosts, items, options.lags, report)
        clients = Clients(hosts, items)
        try:
            with bar("kills", options.kills, show=True) as advance:
                while report.kills < options.kills:
                    before = report.kills
                    done[disturb(hosts, database, rng, report)] += 1
                    advance(report.kills - before)
        finally:
            clients.stop()
        check(database.url, hosts, clients, report)
    finally:
        for host in hosts:
            host.kill()
        database.close()
    report.disturbed, report.seconds = dict(done), round(time.perf_counter() - start, 1)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=int, default=100, help="hosts killed, paused or cut off (default: %(default)s)"
    )
    parser.add_argument(
        "--lags",
        type=int,
        default=500,
        help="events whose way to another host is timed (default: %(default)s)",
    )
    parser.add_argument("--model", type=Path, help="a saved model (default: a synthetic shop)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    report = run(options)
    (options.out / "hosts.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(json.dumps(asdict(report), indent=2))
    if not report.good:
        raise SystemExit("events were lost or duplicated, or hosts disagree")


if __name__ == "__main__":
    main()
