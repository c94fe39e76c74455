"""Shared parts of service benchmarks: a service to start and stop, its memory, an honest client, targets.

A `Served` is `crossaisle serve` as a child of this process, on 127.0.0.1, with a log and an API key. An
`Honest` is a process of its own that asks for lists at a constant rate, whatever happens to others. Its
waiting times count from the moment a request was due, so a stall counts for every request it held up.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import honest_client
from honest_client import GIVE_UP
from local_servers import free_port, with_us

START_SECONDS = 90.0


class Answer(NamedTuple):
    """Status (0 for none) and body."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def new_key(
    store: Path | str, environment: Mapping[str, str], name: str = "benchmark", scope: str = "admin"
) -> str:
    """An API key of a store, made with the command line."""
    command = [sys.executable, "-m", "crossaisle", "keys", "add", str(store), name, "--scope", scope]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"no key could be made: {done.stderr[-500:]}")
    return done.stdout.strip().splitlines()[-1]


class Served:
    """A service with a key of scope admin."""

    def __init__(
        self,
        model: Path | str,
        store: Path | str,
        *,
        log: Path,
        options: tuple[str, ...] = (),
        workers: int = 1,
        key: bool = True,
        port: int | None = None,
        environment: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        """`prefix`: words before the command line."""
        self.prefix = prefix
        self.model, self.store, self.log, self.workers = model, store, log, workers
        self.options = (*options, *(("--workers", str(workers)) if workers > 1 else ()))
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.key = new_key(store, self.environment) if key else ""

    def start(self, wait: bool = True) -> Served:
        """Starts it and waits until all workers are ready."""
        command = [*self.prefix, sys.executable, "-m", "crossaisle", "serve", str(self.model)]
        command += ["--store", str(self.store), "--port", str(self.port), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, preexec_fn=with_us
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """`SystemExit` if it ends before, or takes longer."""
        end, seen = time.monotonic() + seconds, set[str]()
        while len(seen) < self.workers:
            if not self.running() or time.monotonic() > end:
                raise SystemExit(f"the service did not start: {self.said()[-1500:]}")
            answer = self.ask("GET", "/api/health/ready", timeout=2)
            if answer.status == 200:
                seen.add(answer.headers.get("x-worker", "0"))
            time.sleep(0.02)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def pids(self) -> list[int]:
        """The process and its workers."""
        from serve import processes

        with suppress(OSError):
            return processes(self.pid)
        return []

    def serving(self) -> list[int]:
        """The processes that answer: the workers, or the only one."""
        found = self.pids()
        return found[1:] if self.workers > 1 else found

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        *,
        timeout: float = 30,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Sends a request; status 0 if no answer came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"Content-Type": kind} if body is not None else {}
        sent |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, answer.read(), found)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, str(error).encode(), {})
        finally:
            connection.close()

    def said(self) -> str:
        """The log of the service."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGTERM, wait: float = 45.0) -> float:
        """Stops it; returns the seconds it took. Killed after `wait` seconds, which are then returned."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        start, children = time.monotonic(), self.pids()
        self.process.send_signal(how)
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            for pid in children:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        return round(time.monotonic() - start, 2)


# Memory (Linux)


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Resident memory; 0 if the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1000
    return 0.0


def forget_peak(pid: int) -> None:
    """Resets the process's peak memory."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


class Watch:
    """Kills a service that takes too much memory."""

    def __init__(self, served: Served, most_mb: float) -> None:
        self.served, self.most, self.killed = served, most_mb, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            for pid in self.served.serving():
                if memory_mb(pid) > self.most:
                    self.killed += 1
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self._done.set()
        self._thread.join()


# An honest client


class Waited(NamedTuple):
    """One request of the honest client, in seconds of the machine's monotonic clock."""

    due: float
    seconds: float
    status: int


class Honest:
    """The client's process, and what it reported."""

    def __init__(
        self, served: Served, users: list[str], items: list[str], *, rate: float = 20.0, events: float = 2.0
    ) -> None:
        self.waited: list[Waited] = []
        command = [sys.executable, honest_client.__file__, "--port", str(served.port), "--rate", str(rate)]
        command += ["--events", str(events)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=with_us
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"key": served.key, "users": users, "items": items}) + "\n")
        self.process.stdin.flush()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            due, seconds, status = line.split()
            self.waited.append(Waited(float(due), float(seconds), int(status)))

    def between(self, start: float, end: float) -> list[Waited]:
        """Requests that were under way at some time in between."""
        return [one for one in list(self.waited) if one.due <= end and one.due + one.seconds >= start]

    def answering(self, within: float = 120.0) -> bool:
        """Waits until the client is answered again (three times in a row within .5 s)."""
        end, since = time.monotonic() + within, time.monotonic()
        while time.monotonic() < end:
            latest = [one for one in list(self.waited)[-3:] if one.due >= since]
            if len(latest) == 3 and all(one.seconds < 0.5 and one.status == 200 for one in latest):
                return True
            time.sleep(0.05)
        return False

    def close(self) -> None:
        """Ends it after the requests under way."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(GIVE_UP + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join()


# Targets


@dataclass
class Bar:
    """A target, and the figure that was measured."""

    what: str
    bar: str
    figure: Any
    met: bool


@dataclass
class Bars:
    """The targets of a benchmark."""

    bars: list[Bar] = field(default_factory=list)

    def add(self, what: str, bar: str, figure: Any, met: bool) -> None:
        self.bars.append(Bar(what, bar, figure, bool(met)))

    def end(self, out: Path, results: dict[str, Any]) -> None:
        """Writes the results, prints a table and exits with 1 if a target was missed."""
        results = {**results, "bars": [asdict(bar) for bar in self.bars], "met": self.met}
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(results, indent=1, default=str) + "\n")
        rows = [(b.what, b.bar, str(b.figure), "yes" if b.met else "NO") for b in self.bars]
        print("\n" + table(("measure", "target", "figure", "met"), rows))
        sys.exit(not self.met)

    @property
    def met(self) -> bool:
        return all(bar.met for bar in self.bars)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Text in columns."""
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, tuple("-" * width for width in widths), *rows]
    ]
    return "\n".join(lines)


def say(text: str) -> None:
    """Prints progress on stderr."""
    print(time.strftime("%H:%M:%S ") + text, file=sys.stderr, flush=True)


@contextmanager
def workplace(model: Path) -> Iterator[tuple[Path, Path]]:
    """A temporary folder with a copy of the model; removed at the end, also after SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="crossaisle-bench-"))
    try:
        yield folder, Path(shutil.copytree(model, folder / "model"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quantile(waited: list[Waited], q: float) -> float:
    """A quantile of the waiting times in milliseconds; 0 for none."""
    ordered = sorted(one.seconds for one in waited)
    return round(1000 * ordered[min(int(q * len(ordered)), len(ordered) - 1)], 1) if ordered else 0.0


def statuses(waited: list[Waited]) -> dict[str, int]:
    return {str(status): n for status, n in sorted(Counter(one.status for one in waited).items())}


def output(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")
