"""Measures how a service treats clients that stop reading or writing, beside an honest client.

    python benchmarks/silent_clients.py --model demo/model --out runs/silent
    python benchmarks/silent_clients.py --model demo/model --out runs/silent --workers 2
    python benchmarks/silent_clients.py --model demo/model --out runs/silent --clients 100

1,000 clients ask for a large answer and read only its beginning; 1,000 stop writing, half of them in the head
of a request and half in its body. Meanwhile a separate process asks for lists (20 a second). A client counts
as closed when the service has released its connection, which the operating system reports (Linux). Then, with
new clients of this kind connected, the service gets SIGTERM. Uses 127.0.0.1 only. Exits with 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from served import Bars, Honest, Served, Waited, memory_mb, quantile, say, statuses, workplace

from crossaisle.data.storage import load_dataset

PER_SECOND = 100
"""Clients that connect each second."""
CLOSED_SECONDS, STOP_SECONDS, P99_MS = 30.0, 30.0, 250.0
WAIT_SECONDS = 60.0
"""Seconds to wait for the last one."""
LOOK_SECONDS = 0.5
SORTS = ("reading", "head", "body")
DESCRIBED = 40
"""Items of the large answer, with descriptions of 10,000 characters."""
TAKES = 4096
"""Receive buffer of a client, in bytes."""
SEGMENT = 1460
"""Bytes of a packet, as over a network. Within a machine, packets are so large that the operating system
would take a whole answer from the service."""


@dataclass
class Silent:
    """A client that has stopped."""

    sort: str
    client: socket.socket
    port: int
    since: float
    seconds: float | None = None
    """Seconds until the service released it."""


def stops(served: Served, sort: str, large: str) -> Silent:
    """Connects, begins a request or answer, and stops."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAKES)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    client.settimeout(30)
    client.connect(("127.0.0.1", served.port))
    common = f"HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Bearer {served.key}\r\n"
    if sort == "reading":
        client.sendall(f"GET {large} {common}\r\n".encode())
        client.recv(1000)
    elif sort == "head":
        client.sendall(f"GET /api/recommend/x {common}X-Not-".encode())
    else:
        head = f"POST /api/events {common}Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n[\n"
        client.sendall(head.encode())
    return Silent(sort, client, client.getsockname()[1], time.monotonic())


def held(port: int) -> set[int]:
    """Ports of clients whose connections a process on this machine has open at `port`."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        here, there, inode = columns[1], columns[2], columns[9]
        if int(here.split(":")[1], 16) == port and inode != "0":  # 0: released
            found.add(int(there.split(":")[1], 16))
    return found


@dataclass
class Crowd:
    """Silent clients, and when each was released."""

    served: Served
    all: list[Silent] = field(default_factory=list)
    failed: int = 0
    peak_mb: float = 0.0
    _looked: float = 0.0

    def come(self, sorts: list[str], large: str) -> None:
        """Connects `PER_SECOND`; the first may be gone before the last one connects."""
        due = time.monotonic()
        for sort in sorts:
            due += 1 / PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                self.all.append(stops(self.served, sort, large))
            except OSError:
                self.failed += 1
            self.look()

    def look(self) -> None:
        """Records which clients are gone by now."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        open_ones, self._looked = held(self.served.port), now
        self.peak_mb = max(self.peak_mb, sum(memory_mb(pid) for pid in self.served.serving()))
        for one in self.all:
            if one.seconds is None and one.port not in open_ones:
                one.seconds = now - one.since

    def wait(self) -> None:
        """Waits until all are gone, a minute at most."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and any(one.seconds is None for one in self.all):
            time.sleep(LOOK_SECONDS)
            self.look()

    def report(self) -> dict[str, Any]:
        """By kind: how many, how many are still there, and after how long the slowest was closed."""
        out: dict[str, Any] = {}
        for sort in SORTS:
            some = [one for one in self.all if one.sort == sort]
            gone = [one.seconds for one in some if one.seconds is not None]
            out[sort] = {
                "clients": len(some),
                "still_open": len(some) - len(gone),
                "slowest_s": round(max(gone, default=0.0), 1),
            }
        return out

    def close(self) -> None:
        for one in self.all:
            one.client.close()


def large_answer(served: Served) -> str:
    """Adds items with long descriptions; returns the path that answers with all of them."""
    items = [
        {"id": f"silent-{n}", "title": f"Silentium {n}", "description": "still " * 1600, "price": 1.0}
        for n in range(DESCRIBED)
    ]
    answer = served.ask("POST", "/api/items", json.dumps(items), timeout=120)
    if answer.status != 200:
        raise SystemExit(f"the items of the large answer were refused: {answer.body[:300]!r}")
    return "/api/items?q=silentium&n=100"


def mixed(reading: int, writing: int) -> list[str]:
    """Kinds of clients, mixed from the start."""
    writers = ["head", "body"] * (writing // 2)
    readers = ["reading"] * reading
    both = [sort for pair in zip(readers, writers, strict=False) for sort in pair]
    return both + readers[len(writers) :] + writers[len(readers) :]


def measure(served: Served, honest: Honest, options: argparse.Namespace) -> dict[str, Any]:
    large = large_answer(served)
    size = len(served.ask("GET", large).body)
    honest.answering()
    say(f"quiet; the large answer has {size:,} bytes")
    start = time.monotonic()
    time.sleep(options.quiet)
    quiet = honest.between(start, time.monotonic())
    before = sum(memory_mb(pid) for pid in served.serving())
    say(f"{2 * options.clients} silent clients")
    start, crowd = time.monotonic(), Crowd(served)
    crowd.come(mixed(options.clients, options.clients), large)
    say("all are there")
    crowd.wait()
    took = time.monotonic() - start
    time.sleep(1)
    beside = honest.between(start, time.monotonic())
    found = {"answer_bytes": size, "quiet": of(quiet), "beside": of(beside), "closed": crowd.report()}
    memory = {"before_mb": before, "peak_mb": crowd.peak_mb}
    memory["after_mb"] = sum(memory_mb(pid) for pid in served.serving())
    crowd.close()
    honest.close()
    say(f"{took:.0f} s; now SIGTERM")
    last = Crowd(served)
    last.come(mixed(options.at_stop, options.at_stop), large)
    found["stop_s"] = served.stop(wait=STOP_SECONDS + 15)
    last.close()
    found["could_not_connect"] = crowd.failed + last.failed
    return {**found, "memory": memory, "seconds": round(took, 1)}


def of(waited: list[Waited]) -> dict[str, Any]:
    return {
        "questions": len(waited),
        "p50_ms": quantile(waited, 0.5),
        "p99_ms": quantile(waited, 0.99),
        "max_ms": quantile(waited, 1.0),
        "statuses": statuses(waited),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes of the service (default: %(default)s)"
    )
    parser.add_argument(
        "--clients",
        type=int,
        default=1000,
        help="clients that stop reading; as many stop writing (default: %(default)s)",
    )
    parser.add_argument(
        "--at-stop",
        type=int,
        default=100,
        help="clients of each kind while the service is stopped (default: %(default)s)",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=10.0,
        help="seconds with the honest client alone, first (default: %(default)s)",
    )
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * options.clients + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"this machine lets a process have {hard} open files: fewer --clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "service.log").unlink(missing_ok=True)
    with workplace(options.model) as (folder, model):
        dataset = load_dataset(model / "catalogue")
        store = folder / "silent.sqlite"
        served = Served(model, store, log=options.out / "service.log", workers=options.workers).start()
        items = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[-50:]]
        honest = Honest(served, list(dataset.user_ids.all[:50]), items)
        try:
            found = measure(served, honest, options)
        finally:
            if honest.process.poll() is None:
                honest.close()
            served.stop()
    bars, p99, quiet = Bars(), found["beside"]["p99_ms"], found["quiet"]["p99_ms"]
    bars.add(f"honest p99 (quiet: {quiet} ms)", "<= 250 ms", f"{p99} ms", p99 <= P99_MS)
    wrong = {status: n for status, n in found["beside"]["statuses"].items() if status != "200"}
    bars.add("honest questions not answered 200", "0", wrong or 0, not wrong)
    for sort, closed in found["closed"].items():
        good = not closed["still_open"] and closed["slowest_s"] <= CLOSED_SECONDS
        figure = f"slowest {closed['slowest_s']} s, {closed['still_open']} of {closed['clients']} still open"
        bars.add(f"closed, of those that stopped in {sort}", "all within 30 s", figure, good)
    bars.add("SIGTERM to the end", "<= 30 s", f"{found['stop_s']} s", found["stop_s"] <= STOP_SECONDS)
    memory = found["memory"]
    print("memory, MB: " + ", ".join(f"{name[:-3]} {value:.0f}" for name, value in memory.items()))
    bars.end(options.out, {"workers": options.workers, **found})


if __name__ == "__main__":
    main()
