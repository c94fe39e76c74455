"""Runs the service for an hour at half load and watches its memory and file handles.

    python benchmarks/soak.py --model demo/model --out runs/soak [--minutes 60] [--rate 200]

Starts `crossaisle serve` as a process of its own and sends what a shop would send, at a constant rate of
about half of what two cores can answer: lists for known and new users, products beside a product, carts, an
event in one of ten requests, and now and then a new price or product. A late request is sent at once; one
more than a second late is left out. Every ten seconds it reads resident memory, open handles and threads.

Growth compares the median of the last tenth of the time with that of the second tenth, since the cache is
still filling up in the first. Writes `results.json` and `samples.csv`. Exits with 1 if memory grows by more
than 5 %, handles increase, or any answer is a 5xx.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from serve import CONNECTIONS, Connection, quantiles, service

from crossaisle.data.storage import load_dataset
from crossaisle.progress import bar

EVERY = 10.0
"""Seconds between samples."""
LATE = 1.0
"""A request this many seconds late is left out, so that the run ends on time."""
GROWTH = 0.05
"""Memory may grow by this share."""


class Sample(NamedTuple):
    """The process at one time."""

    second: float
    memory_mb: float
    handles: int
    threads: int


def sample(pid: int, second: float) -> Sample:
    """What Linux says about a process."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    memory = int(status["VmRSS"].split()[0]) / 1000
    return Sample(second, memory, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status["Threads"]))


class Visitors:
    """Requests as a shop would send them, from a seed."""

    def __init__(self, users: list[str], items: list[str]) -> None:
        self._users, self._items, self._rng, self._put = users, items, random.Random(0), 0
        self._run = time.time_ns()

    def next(self) -> tuple[str, str, bytes]:
        """Method, path and body."""
        rng = self._rng
        # Most users are known; each of the others comes back now and then.
        user = rng.choice(self._users) if rng.random() < 0.9 else f"visitor-{rng.randrange(20_000)}"
        item, kind = rng.choice(self._items), rng.random()
        if kind < 0.1:
            event = {"user": user, "item": item, "kind": "view", "key": f"{rng.getrandbits(96):x}"}
            return "POST", "/api/events", json.dumps(event).encode()
        if kind < 0.2:
            return "GET", f"/api/items/{item}/goes-with", b""
        if kind < 0.25:
            body = {"items": rng.sample(self._items, 3), "placement": "goes_with"}
            return "POST", "/api/recommend", json.dumps(body).encode()
        if kind < 0.3:
            return "GET", f"/api/recommend/{user}?placement=discover&quota=2", b""
        if kind < 0.31:
            return "GET", f"/api/recommend/{user}?explain=true&n=5", b""
        return "GET", f"/api/recommend/{user}", b""

    def change(self) -> tuple[str, str, bytes]:
        """A new price of a known product, or once a minute a new product."""
        self._put += 1
        if self._put % 12:
            price = {"price": round(self._rng.uniform(1, 9), 2)}
            return "PATCH", f"/api/items/{self._rng.choice(self._items)}", json.dumps(price).encode()
        # No earlier run has read this title, so the first one loads the text encoder, rather than the first
        # that the vector cache lacks.
        new = {"title": f"Oat drink {self._run} {self._put}", "categories": [["Grocery"]], "price": 2.0}
        return "PUT", f"/api/items/new-{self._put}", json.dumps(new).encode()


async def soak(pid: int, visitors: Visitors, seconds: float, rate: float) -> dict[str, Any]:
    """Sends at a constant rate over `CONNECTIONS` connections, and takes samples meanwhile."""
    start, times, answers = time.perf_counter(), [], Counter[int]()
    samples = [sample(pid, 0.0)]

    async def ask(connection: Connection, request: tuple[str, str, bytes]) -> None:
        asked = time.perf_counter()
        status, _ = await connection.ask(*request)
        times.append(time.perf_counter() - asked)
        answers[status] += 1

    async def visit() -> None:
        connection, due = await Connection().open(), start
        while (due := max(due + CONNECTIONS / rate, time.perf_counter() - LATE)) < start + seconds:
            await asyncio.sleep(due - time.perf_counter())
            await ask(connection, visitors.next())

    async def change() -> None:
        while time.perf_counter() < start + seconds:
            connection = await Connection().open()  # a new one each time: the service closes idle ones
            await ask(connection, visitors.change())
            connection.writer.close()
            await asyncio.sleep(5.0)

    async def watch() -> None:
        with bar("soaking", int(seconds), show=True) as advance:
            while (now := time.perf_counter() - start) < seconds:
                await asyncio.sleep(min(EVERY, seconds - now))
                samples.append(sample(pid, round(time.perf_counter() - start, 1)))
                advance(int(samples[-1].second) - int(samples[-2].second))

    await asyncio.gather(*(visit() for _ in range(CONNECTIONS)), change(), watch())
    return {"requests": len(times), "per_second": round(len(times) / seconds, 1), **quantiles(times)} | {
        "answers": {str(status): n for status, n in sorted(answers.items())},
        "samples": samples,
    }


def growth(samples: list[Sample]) -> dict[str, Any]:
    """The last tenth over the second tenth."""
    tenth = max(len(samples) // 10, 1)
    before, after = samples[tenth : 2 * tenth], samples[-tenth:]
    out: dict[str, Any] = {}
    for name in ("memory_mb", "handles", "threads"):
        old, new = (statistics.median(getattr(s, name) for s in part) for part in (before, after))
        out[name] = {"before": round(old, 1), "after": round(new, 1), "growth": round(new / old - 1, 4)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--model", type=Path, default=Path("demo/model"), help="a saved model (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="length of the run (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default: %(default)s)")
    options = parser.parse_args()
    dataset = load_dataset(options.model / "catalogue")
    popular = dataset.item_counts.argsort()[-5000:]
    visitors = Visitors(list(dataset.user_ids.all), [dataset.item_ids.id(row) for row in popular])
    work = options.out / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with service(options.model, work / "store.sqlite") as (pid, _):
        found = asyncio.run(soak(pid, visitors, options.minutes * 60, options.rate))
    samples = found.pop("samples")
    lines = [",".join(Sample._fields), *(",".join(map(str, s)) for s in samples)]
    (options.out / "samples.csv").write_text("\n".join(lines) + "\n")
    results = {"minutes": options.minutes, "rate_asked": options.rate, **found, **growth(samples)}
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(work)
    print(json.dumps(results, indent=1))
    failed = any(int(status) >= 500 for status in results["answers"])
    leaks = results["handles"]["growth"] > 0 or results["memory_mb"]["growth"] > GROWTH
    sys.exit(1 if failed or leaks else 0)


if __name__ == "__main__":
    main()
