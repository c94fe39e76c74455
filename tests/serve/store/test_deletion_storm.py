"""People are deleted while others send their events and ask for their lists, and processes are killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.local_servers import free_port
from tests.serve.store.test_deletion import traces, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs signals")]
ROUNDS = 8
CLIENTS = 3
EXPERIMENT = {"name": "ab", "placement": "discover", "arms": [{"name": "a"}, {"name": "b"}]}


class Served:
    """The command, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.workers, self.port = folder, workers, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "crossaisle", "serve", str(self.folder / "models" / "a")]
        command += ["--store", str(self.folder / "store" / "s.sqlite"), "--port", str(self.port)]
        command += ["--workers", str(self.workers)] if self.workers > 1 else []
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._ready, 90)

    def _ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return httpx.get(f"{self.url}/api/health/ready", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        time.sleep(0.3)  # workers end when they notice
        self.start()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        finally:
            self.process.kill()


@contextmanager
def served(model: Path, folder: Path, workers: int) -> Iterator[Served]:
    shutil.copytree(model.parent, folder / "models")
    running = Served(folder, workers)
    try:
        yield running
    finally:
        running.stop()


class Storm:
    """Clients that send one person's events and ask for the lists until told to stop."""

    def __init__(self, url: str, user: str) -> None:
        self.url, self.user = url, user
        self.acknowledged: list[tuple[str, float]] = []
        """Keys of events, and the moments in which they were sent."""
        self.begun: list[tuple[str, float]] = []
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int) -> None:
        n = 0
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.end.is_set():
                key, sent, n = f"{self.user}-{number}-{n}-key", time.time(), n + 1
                self.begun.append((key, sent))
                body = {"user": self.user, "item": random.choice(("bread", "jam", "cake")), "key": key}
                try:
                    answer = client.post("/api/events", json=body)
                    if answer.status_code == 200 and answer.json()["accepted"] == 1:
                        self.acknowledged.append((key, sent))
                    client.get(f"/api/recommend/{self.user}?placement=discover&n={1 + n % 5}")
                except httpx.TransportError:
                    time.sleep(0.05)

    def stop(self) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()


def deleted(url: str, user: str) -> tuple[float, float]:
    """Deletes until it is answered; when that began and when it was answered."""
    while True:
        began = time.time()
        with suppress(httpx.TransportError):
            answer = httpx.delete(f"{url}/api/users/{user}", timeout=60)
            if answer.status_code == 200 and answer.json()["overwritten"]:
                return began, time.time()
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_of_before_is_left_and_nothing_of_after_is_lost(
    workers: int, model: Path, tmp_path: Path
) -> None:
    earlier = later = 0
    with served(model, tmp_path, workers) as service:
        assert httpx.post(f"{service.url}/api/experiments", json=EXPERIMENT).status_code == 201
        for number in range(ROUNDS):
            user = f"storm-{number}-person"
            httpx.put(f"{service.url}/api/users/{user}", json={"mail": f"mail-{number}@example.org"})
            storm = Storm(service.url, user)
            try:
                time.sleep(random.uniform(0.3, 0.6))
                began, answered = deleted(service.url, user)
                if number % 2:
                    service.kill()
                time.sleep(0.3)
            finally:
                storm.stop()
            _agrees(service.url, user, storm, began, answered)
            earlier += sum(sent < began for _, sent in storm.acknowledged)
            later += sum(sent > answered for _, sent in storm.acknowledged)
            before = [key for key, sent in storm.begun if sent < began - 0.5]  # surely answered before
            before += [key for key, sent in storm.acknowledged if sent < began - 0.2]
            assert traces(tmp_path / "store", f"mail-{number}@example.org", *before) == {}, number
            deleted(service.url, user)
            assert traces(tmp_path / "store", user) == {}, number
            _is_unknown(service.url, user)
    assert min(earlier, later) > ROUNDS, "there was no storm"


def _agrees(url: str, user: str, storm: Storm, began: float, answered: float) -> None:
    """Of before the deletion nothing is shown; of after it nothing is missing, in store or memory."""
    found = httpx.get(f"{url}/api/users/{user}", timeout=30)
    person: Any = found.json() if found.status_code == 200 else {"events": [], "shown": [], "attributes": {}}
    kept = {event["key"] for event in person["events"]}
    assert {key for key, sent in storm.acknowledged if sent > answered} <= kept
    assert not {key for key, sent in storm.begun if sent < began - 0.5} & kept
    assert all(event["time"] > began for event in person["events"])
    assert person["attributes"] == {}
    log = httpx.get(f"{url}/api/experiments/ab/exposures?n=10000", timeout=30).json()
    own = [line for line in log if line["user"] == user]
    assert all(line["time"] > began for line in [*person["shown"], *own])
    served = {httpx.get(f"{url}/api/recommend/{user}", timeout=30).json()["served"] for _ in range(4)}
    assert served == {"for_you" if kept else "trending"}


def _is_unknown(url: str, user: str) -> None:
    for _ in range(4):
        assert httpx.get(f"{url}/api/recommend/{user}", timeout=30).json()["served"] == "trending"
        assert httpx.get(f"{url}/api/users/{user}", timeout=30).status_code == 404
