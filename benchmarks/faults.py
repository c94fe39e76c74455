"""Measures lists for honest clients while other clients misbehave or the disk is full.

    python benchmarks/faults.py --model demo/model --out runs/faults

Starts `crossaisle serve` and asks it for lists over 8 connections: with nothing else going on; beside 10,000
idle connections; beside clients that send one byte a second, in heads and in bodies; and while the disk is
full (the operating system stops the service's files from growing, Linux only). At the end the service is
killed, and the events in its store are compared with those it acknowledged. Uses 127.0.0.1 only. Writes
`results.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any

from serve import PORT, Connection, load, service

from crossaisle.recommend.recommender import Recommender

HEAD = b"GET /api/recommend/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
BODY = (
    b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9999\r\n\r\n["
)
GIVE_UP = 90.0
BATCH = 500


async def crowd(n: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Opens connections, a few hundred at a time because the listening queue is that long."""
    found: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    for start in range(0, n, 250):
        some = (asyncio.open_connection("127.0.0.1", PORT) for _ in range(min(250, n - start)))
        found += await asyncio.gather(*some)
    return found


async def ended(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], drip: bytes = b"") -> str:
    """How a connection ends: the status of the answer, or closed. `drip`: sent every second meanwhile."""
    reader, writer = client
    said = b""
    try:
        while True:
            try:
                part = await asyncio.wait_for(reader.read(4096), 1.0 if drip else GIVE_UP)
            except TimeoutError:
                writer.write(drip)
                continue
            if not part:
                break
            said += part
    except ConnectionError:
        pass
    writer.close()
    return said[9:12].decode() or "closed"


async def beside(lists: Any, seconds: float, clients: list[Awaitable[str]]) -> dict[str, Any]:
    """Lists for honest clients while others misbehave, and how those connections ended."""
    start = time.perf_counter()
    waiting = [asyncio.ensure_future(client) for client in clients]
    found = await load(lists, seconds)
    _, left = await asyncio.wait(waiting, timeout=GIVE_UP)
    ends: dict[str, int] = {"still open": len(left)} if left else {}
    for one in waiting:
        if one.done():
            ends[one.result()] = ends.get(one.result(), 0) + 1
        else:
            one.cancel()
    return {
        **found,
        "misbehaved": len(clients),
        "ended": ends,
        "all_gone_s": round(time.perf_counter() - start, 1),
    }


async def full_disk(pid: int, store: Path, lists: Any) -> tuple[dict[str, Any], set[str]]:
    """Sends batches while files cannot grow; resends what was refused once they can."""
    connection = await Connection().open()
    acknowledged: set[str] = set()
    answers: dict[str, int] = {}

    async def send(number: int) -> bool:
        keys = [f"{number}-{n}" for n in range(BATCH)]
        body = json.dumps([{"user": f"u{number}", "item": "i" * 100, "key": key} for key in keys]).encode()
        status, _ = await connection.ask("POST", "/api/events", body)
        answers[str(status)] = answers.get(str(status), 0) + 1
        if status == 200:
            acknowledged.update(keys)
        return status == 200

    def let_grow(size: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    for number in range(20):
        await send(number)
    largest = max(file.stat().st_size for file in store.parent.glob(store.name + "*"))
    let_grow(largest + 300_000)
    refused = [number for number in range(20, 60) if not await send(number)]
    meanwhile = await load(lists, 3)
    let_grow(resource.RLIM_INFINITY)
    again = [number for number in refused if not await send(number)]
    found = {
        "answers": answers,
        "refused": len(refused),
        "refused_again": len(again),
        "lists_meanwhile": meanwhile,
    }
    return found, acknowledged


async def measure(pid: int, store: Path, users: list[str], options: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(0)

    def lists() -> tuple[str, str, bytes]:
        return "GET", f"/api/recommend/{rng.choice(users)}", b""

    await load(lists, 5)  # kept from here on
    out: dict[str, Any] = {"quiet": await load(lists, options.seconds)}
    idle = await crowd(options.idle)
    out["idle"] = await beside(lists, options.seconds, [ended(one) for one in idle])
    slow = await crowd(options.slow)
    for number, (_, writer) in enumerate(slow):
        writer.write(BODY if number % 2 else HEAD)
    out["slow"] = await beside(lists, options.seconds, [ended(one, b"1") for one in slow])
    out["after"] = await load(lists, options.seconds)
    out["full_disk"], acknowledged = await full_disk(pid, store, lists)
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.5)
    with closing(sqlite3.connect(store)) as connection:
        kept = [key for (key,) in connection.execute("SELECT key FROM events")]
    out["full_disk"] |= {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(kept)),
        "doubled": len(kept) - len(set(kept)),
    }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections (default: %(default)s)")
    parser.add_argument("--slow", type=int, default=400, help="slow clients (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="length of each measurement (default: %(default)s)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.idle + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"this machine lets a process have {hard} open files: --idle {hard - 500} or fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    users = list(Recommender.load(options.model).dataset.user_ids.all)[:500]
    store = options.out / "faults.sqlite"
    for file in options.out.glob("faults.sqlite*"):
        file.unlink()
    with service(options.model, store) as (pid, _):
        found = asyncio.run(measure(pid, store, users, options))
    (options.out / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
