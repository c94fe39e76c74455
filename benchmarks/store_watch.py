"""What watches the service in `store_faults.py`: a client that sends events, and an operator's checks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from served import Served

LOOK_SECONDS = 0.05
"""Seconds between the operator's checks."""


class Sent(NamedTuple):
    """An event, and what became of it."""

    key: str
    start: float
    end: float
    status: int
    accepted: bool


class Sender(threading.Thread):
    """Sends one event after the other, each once."""

    def __init__(self, served: Served, item: str) -> None:
        super().__init__(daemon=True)
        self.served, self.item, self.sent, self.stopped = served, item, list[Sent](), False
        self.time: Callable[[], float] | None = None

    def run(self) -> None:
        number = 0
        while not self.stopped:
            key, number = f"event-{number}", number + 1
            body: dict[str, str | float] = {"user": f"person-{number % 40}", "item": self.item, "key": key}
            if self.time is not None and number % 2:
                body["time"] = self.time()  # the client's clock is right
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
    """Repeatedly checks what an operator would."""

    served: Served
    told: dict[str, float] = field(default_factory=dict)
    """When each check first reported a problem after `fault`."""
    lists: Counter[int] = field(default_factory=Counter)
    fault: float = 0.0
    log_bytes: int = 0
    """Length of the log before the fault."""
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Probe:
        self._threads = [threading.Thread(target=self._look, args=(what,), daemon=True) for what in LOOKS]
        for thread in self._threads:
            thread.start()
        return self

    def begin(self) -> None:
        """The fault begins now."""
        self.fault = time.monotonic()

    def _look(self, what: str) -> None:
        while not self._done.wait(LOOK_SECONDS):
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
        """Seconds from the fault to the first report of each check."""
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
