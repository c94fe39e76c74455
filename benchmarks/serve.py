"""Measures the service: lists and events a second, waiting times, memory, start, and kills.

    python benchmarks/serve.py --model demo/model --out runs/serve
    python benchmarks/serve.py --items 1000000 --out runs/large

Starts `crossaisle serve` as a process of its own, sends load from this one over loopback, and writes
`results.json`. Needs two cores and a quiet machine. `--items` makes a synthetic shop of that size
(`large_shop.py`; a million items take three minutes and 3 GB) and measures its lists and new items.
`--workers 2` starts two workers, asks one about events that the other received, and reports the memory they
share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_servers import free_port

PORT = free_port()
CONNECTIONS = 8


@contextmanager
def service(
    model: Path,
    store: Path | str,
    *,
    models: Path | None = None,
    workers: int = 1,
    patience: float = 120.0,
) -> Iterator[tuple[int, float]]:
    """Yields the process id, and the seconds until all workers are ready."""
    command = [
        sys.executable,
        "-m",
        "crossaisle",
        "serve",
        str(model),
        "--port",
        str(PORT),
        "--store",
        str(store),
    ]
    if models is not None:
        command += ["--models", str(models)]
    if workers > 1:
        command += ["--workers", str(workers)]
    answered: set[str] = set()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/health/ready", timeout=1) as answer:
                    answered.add(answer.headers.get("x-worker", "0"))
                if len(answered) == workers:
                    break
            except OSError:
                pass
            if process.poll() is not None or time.perf_counter() - start > patience:
                raise SystemExit("the service did not start")
            time.sleep(0.02)
        yield process.pid, time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


class Connection:
    """HTTP/1.1 with as little work as possible, so that the client is not the bottleneck."""

    async def open(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT)
        return self

    async def worker(self) -> str:
        """The worker that accepted the connection."""
        self.writer.write(b"GET /api/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        await self.reader.readexactly(int(head.split("content-length:", 1)[1].split("\r\n", 1)[0]))
        return head.split("x-worker:", 1)[1].split("\r\n", 1)[0].strip() if "x-worker:" in head else "0"

    async def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(answer[9:12]), await self.reader.readexactly(length)


async def load(
    make: Callable[[], tuple[str, str, bytes]], seconds: float, n: int = CONNECTIONS
) -> dict[str, Any]:
    """Sends requests for some time, one after the other on each of `n` connections."""
    end = time.perf_counter() + seconds

    def in_time() -> tuple[str, str, bytes]:
        if time.perf_counter() >= end:
            raise StopIteration
        return make()

    return await load_all(in_time, n)


async def load_all(make: Callable[[], tuple[str, str, bytes]], n: int = CONNECTIONS) -> dict[str, Any]:
    """Sends requests until `make` has no more. `failed`: how many did not get a status below 400."""
    times: list[float] = []
    failed = 0

    async def one() -> None:
        nonlocal failed
        connection = await Connection().open()
        while True:
            try:
                request = make()
            except (StopIteration, RuntimeError):
                break
            start = time.perf_counter()
            status, _ = await connection.ask(*request)
            times.append(time.perf_counter() - start)
            failed += status >= 400
        connection.writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(n)))
    took = time.perf_counter() - start
    return {"per_second": round(len(times) / took, 1), **quantiles(times), "failed": failed}


def all_answered(loads: Mapping[str, Mapping[str, Any]]) -> None:
    """Ends the benchmark if requests failed: errors are answered faster than real requests."""
    if failed := {name: one["failed"] for name, one in loads.items() if one.get("failed")}:
        raise SystemExit(f"requests failed, so nothing was measured: {failed}")


def quantiles(times: list[float]) -> dict[str, float]:
    """p50, p99 and the largest, in milliseconds."""
    ordered = sorted(times)
    pick = {"p50_ms": 0.5, "p99_ms": 0.99}
    found = {name: ordered[min(int(q * len(ordered)), len(ordered) - 1)] for name, q in pick.items()}
    return {name: round(v * 1000, 2) for name, v in (found | {"max_ms": ordered[-1]}).items()}


def memory_mb(pid: int) -> float:
    """Largest resident memory of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1000, 1)
    return float("nan")


def processes(pid: int) -> list[int]:
    """A process and its children (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text().split())]


def shares_mb(pid: int) -> dict[str, list[float]]:
    """For each process: its share of memory (half of what two share), and what it alone has."""
    out: dict[str, list[float]] = {"pss_mb": [], "private_mb": []}
    for one in processes(pid):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]
        found = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines}
        out["pss_mb"].append(round(found["Pss"], 1))
        out["private_mb"].append(round(found["Private_Clean"] + found["Private_Dirty"], 1))
    return out | {"pss_mb_together": [round(sum(out["pss_mb"]), 1)]}


async def measure(
    pid: int, users: list[str], items: list[str], seconds: float, workers: int = 1
) -> dict[str, Any]:
    rng = random.Random(0)
    out: dict[str, Any] = {}

    def some(path: str) -> Callable[[], tuple[str, str, bytes]]:
        return lambda: ("GET", path.format(user=rng.choice(users), item=rng.choice(items)), b"")

    # Each user once: nothing is cached yet.
    fresh = iter(rng.sample(users, len(users)))
    out["recommend_first_time"] = await load_all(lambda: ("GET", f"/api/recommend/{next(fresh)}", b""))
    out["recommend"] = await load(some("/api/recommend/{user}"), seconds)
    out["recommend_filtered"] = await load(
        some("/api/recommend/{user}?cross_share=0.3&quota=2&max_price=5"), seconds / 2
    )
    out["discover"] = await load(some("/api/recommend/{user}?placement=discover"), seconds)
    out["goes_with"] = await load(some("/api/items/{item}/goes-with"), seconds / 2)

    def mixed() -> tuple[str, str, bytes]:
        user = rng.choice(users)
        if rng.random() < 0.1:
            event = {"user": user, "item": rng.choice(items), "kind": "view"}
            return "POST", "/api/events", json.dumps(event).encode()
        return "GET", f"/api/recommend/{user}", b""

    out["recommend_with_a_tenth_events"] = await load(mixed, seconds)
    out["rss_mb"] = [memory_mb(one) for one in processes(pid)]
    out["memory"] = shares_mb(pid)
    out["event_to_answer"] = await event_to_answer(users, items, workers)
    out["new_item_to_answer"] = await new_item_to_answer()
    # The first new title loads the text encoder.
    out["rss_mb_after_new_items"] = [memory_mb(one) for one in processes(pid)]
    out["events_single"] = await load(event_of(users, items, rng), seconds / 2, 32)
    batch = await load(batch_of(users, items, rng), seconds / 2, 2)
    out["events_batched"] = {**batch, "events_per_second": round(batch["per_second"] * 1000, 1)}
    all_answered({name: one for name, one in out.items() if isinstance(one, dict)})
    return out


def event_of(users: list[str], items: list[str], rng: random.Random) -> Callable[[], tuple[str, str, bytes]]:
    def make() -> tuple[str, str, bytes]:
        event = {"user": rng.choice(users), "item": rng.choice(items), "key": str(rng.getrandbits(96))}
        return "POST", "/api/events", json.dumps(event).encode()

    return make


def batch_of(users: list[str], items: list[str], rng: random.Random) -> Callable[[], tuple[str, str, bytes]]:
    # Many separate users: no history should grow to a hundred thousand events here.
    batches = [
        json.dumps(
            [{"user": f"load-{rng.randrange(10**6)}", "item": rng.choice(items)} for _ in range(1000)]
        ).encode()
        for _ in range(16)
    ]
    return lambda: ("POST", "/api/events", rng.choice(batches))


async def event_to_answer(users: list[str], items: list[str], workers: int, n: int = 300) -> dict[str, float]:
    """Time from sending an event to receiving a list that reflects it.

    With several workers, the list is asked of another worker than the one that received the event.
    """
    connection, times, rng = await Connection().open(), [], random.Random(1)
    asked = connection
    while workers > 1 and await asked.worker() == await connection.worker():
        asked = await Connection().open()
    for number in range(n):
        user, item = f"fresh-{number}", rng.choice(items)
        start = time.perf_counter()
        await connection.ask("POST", "/api/events", json.dumps({"user": user, "item": item}).encode())
        _, body = await asked.ask("GET", f"/api/recommend/{user}")
        times.append(time.perf_counter() - start)
        assert json.loads(body)["served"] == "for_you", "the event did not count"
    connection.writer.close()
    return quantiles(times)


async def new_item_to_answer(n: int = 30) -> dict[str, float]:
    """Time from adding a new item to receiving the list beside it."""
    connection, times = await Connection().open(), []
    for number in range(n):
        item = {
            "title": f"Organic oat milk barista {number}",
            "categories": [["Grocery", "Milk"]],
            "price": 3.0,
        }
        start = time.perf_counter()
        status, _ = await connection.ask("PUT", f"/api/items/new-{number}", json.dumps(item).encode())
        assert status == 201
        _, body = await connection.ask("GET", f"/api/items/new-{number}/similar")
        times.append(time.perf_counter() - start)
        assert json.loads(body)["items"], "nothing is similar to the new item"
    connection.writer.close()
    return quantiles(times)


async def during_switches(users: list[str], names: list[str], seconds: float) -> dict[str, Any]:
    """200 requests a second while the model is switched back and forth."""
    rng, times, failed, switches = random.Random(2), [], 0, 0
    done = asyncio.Event()

    async def ask_steadily(share: float) -> None:
        nonlocal failed
        connection = await Connection().open()
        due = time.perf_counter()
        while not done.is_set():
            due += share
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            start = time.perf_counter()
            status, _ = await connection.ask("GET", f"/api/recommend/{rng.choice(users)}")
            times.append(time.perf_counter() - start)
            failed += status != 200
        connection.writer.close()

    async def switch() -> None:
        nonlocal switches
        connection = await Connection().open()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            body = json.dumps({"name": names[switches % 2]}).encode()
            status, answer = await connection.ask("POST", "/api/models/activate", body)
            assert status == 200, answer
            switches += 1
            await asyncio.sleep(1.0)
        done.set()

    await asyncio.gather(*(ask_steadily(8 / 200) for _ in range(8)), switch())
    return {"switches": switches, "requests": len(times), "failed": failed, **quantiles(times)}


def killed(model: Path, folder: Path, items: list[str], kills: int, workers: int) -> dict[str, int]:
    """Kills the service at random moments while events arrive; counts lost and duplicate events."""
    import sqlite3

    store, rng = folder / "killed.sqlite", random.Random(3)
    acknowledged: set[str] = set()
    sent = opened = 0

    async def feed(pid: int) -> None:
        nonlocal sent
        for one in processes(pid):
            asyncio.get_running_loop().call_later(rng.uniform(0.02, 0.4), os.kill, one, signal.SIGKILL)

        async def one() -> None:
            nonlocal sent
            connection = await Connection().open()
            while True:
                key, sent = f"k{sent}", sent + 1
                body = json.dumps({"user": f"u{sent % 50}", "item": rng.choice(items), "key": key}).encode()
                status, _ = await connection.ask("POST", "/api/events", body)
                if status == 200:
                    acknowledged.add(key)

        await asyncio.gather(*(one() for _ in range(4)), return_exceptions=True)

    for _ in range(kills):
        with service(model, store, workers=workers) as (pid, _):
            opened += 1
            asyncio.run(feed(pid))
    with sqlite3.connect(store) as connection:
        keys = [row[0] for row in connection.execute("SELECT key FROM events")]
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    return {
        "kills": kills,
        "opened": opened,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(keys)),
        "doubled": len(keys) - len(set(keys)),
        "whole": int(whole),
    }


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Path | str]:
    """An empty store: a file, or a PostgreSQL started for this."""
    if kind == "sqlite":
        yield folder / "store.sqlite"
        return
    from local_servers import Postgres

    server = Postgres()
    try:
        yield server.url
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--model", type=Path, default=Path("demo/model"), help="a saved model (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="length of each measurement (default: %(default)s)"
    )
    parser.add_argument("--items", type=int, help="items of a synthetic shop, instead of --model")
    parser.add_argument(
        "--store",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="kind of store (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes of the service (default: %(default)s)"
    )
    parser.add_argument(
        "--kills", type=int, default=30, help="times to kill the service (default: %(default)s)"
    )
    parser.add_argument(
        "--switch",
        action="store_true",
        help="copy the model and switch between the two while lists are asked for",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    from crossaisle.data.storage import load_dataset

    if options.items:
        from large_shop import made

        options.model, options.kills = made(options.out, options.items), 0
    dataset = load_dataset(options.model / "catalogue")
    users, items = (
        list(dataset.user_ids.all),
        [dataset.item_ids.id(r) for r in dataset.item_counts.argsort()[-5000:]],
    )
    if options.items:
        users = random.Random(4).sample(users, 1000)
    work = options.out / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    results: dict[str, Any] = {
        "items": dataset.n_items,
        "cores": os.cpu_count(),
        "store": options.store,
        "workers": options.workers,
    }
    several = {"workers": options.workers}
    with (
        database(options.store, work) as store,
        service(options.model, store, **several) as (pid, ready),
    ):
        results["start_to_ready_seconds"] = round(ready, 2)
        results |= asyncio.run(measure(pid, users, items, options.seconds, **several))
    if options.switch:
        for name in ("a", "b"):
            shutil.copytree(options.model, work / "models" / name)
        first = work / "models" / "a"
        with service(first, work / "switch.sqlite", models=work / "models", **several):
            results["switching"] = asyncio.run(during_switches(users, ["b", "a"], options.seconds))
    if options.kills:
        results["kill"] = killed(options.model, work, items, options.kills, **several)
    shutil.rmtree(work)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
