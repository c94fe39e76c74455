"""Counters and latencies, as Prometheus text and as JSON for the console."""

from __future__ import annotations

import bisect
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Report = dict[str, Any]
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency histogram, in seconds."""

OWN = ("/api/console", "/api/health", "/metrics", "/page", "/console")
"""Routes of those who watch the service; the console counts all others."""
MINUTES = 60
"""That the console shows."""
TIMED = 2_000
"""Requests of a minute whose times are kept: the first ones."""


class Metrics:
    """What a shop has done since it started. Only the event loop changes it."""

    def __init__(self, *, shop: str = "") -> None:
        """`shop`: the name that each line carries as a label; "" for none."""
        self._label = f'shop="{_escaped(shop)}"' if shop else ""
        self.requests: Counter[tuple[str, int]] = Counter()
        self.buckets: dict[str, list[int]] = {}
        self.seconds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.recent: deque[float] = deque(maxlen=1000)
        self.batch_sizes: Counter[int] = Counter()
        self.minutes: deque[_Minute] = deque(maxlen=MINUTES)
        self.answered = float("-inf")
        """Time of the last answer, by the monotonic clock."""

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self.answered = time.monotonic()
        self.requests[route, status] += 1
        counts = self.buckets.get(route)
        if counts is None:
            counts = self.buckets[route] = [0] * (len(BOUNDS) + 1)
        counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.seconds[route] += seconds  # type: ignore[assignment]
        if not route.startswith(OWN) and route != "/":
            self.recent.append(seconds)
            self._of_minute(int(time.time() // 60)).add(status, seconds)

    def _of_minute(self, minute: int) -> _Minute:
        if not self.minutes or self.minutes[-1].minute != minute:
            self.minutes.append(_Minute(minute))
        return self.minutes[-1]

    def prometheus(self, gauges: dict[str, float], reports: Iterable[tuple[str, Report]] = ()) -> str:
        """Text exposition format 0.0.4. `reports`: of several workers, instead of this one's own numbers."""
        lines: dict[str, list[str]] = {}
        for worker, report in reports or [("", self.report(gauges))]:
            label = f'worker="{worker}"' if worker else ""
            for name, kind, line in _lines(report, ",".join(filter(None, (self._label, label)))):
                lines.setdefault(f"# TYPE crossaisle_{name} {kind}", []).append(line)
        return "\n".join(line for head, of in lines.items() for line in (head, *of)) + "\n"

    def report(self, gauges: dict[str, float]) -> Report:
        """All current values, JSON-ready."""
        return {
            "requests": [[route, status, n] for (route, status), n in sorted(self.requests.items())],
            "seconds": [
                [route, counts, self.seconds[route]] for route, counts in sorted(self.buckets.items())
            ],
            "counts": sorted(self.counts.items()),
            "gauges": list(gauges.items()),
        }

    def summary(self) -> dict[str, Any]:
        """The last 1,000 requests, and the last hour by minute. The console's own are left out."""
        now = int(time.time() // 60)
        times = np.array(self.recent) * 1000.0
        quantiles = np.quantile(times, [0.5, 0.95, 0.99]) if len(times) else np.zeros(3)
        asked = {key: n for key, n in self.requests.items() if not key[0].startswith(OWN) and key[0] != "/"}
        failed = sum(n for (_, status), n in asked.items() if status >= 500)
        return {
            "requests": sum(asked.values()),
            "failed": failed,
            "ms": dict(zip(("p50", "p95", "p99"), (round(float(q), 3) for q in quantiles), strict=True)),
            "counts": dict(self.counts),
            "minutes": [one.summary() for one in self.minutes if now - one.minute < MINUTES],
        }


class _Minute:
    """What was answered within one minute."""

    def __init__(self, minute: int) -> None:
        self.minute, self.requests, self.failed = minute, 0, 0
        self.times: list[float] = []

    def add(self, status: int, seconds: float) -> None:
        self.requests += 1
        self.failed += status >= 500
        if len(self.times) < TIMED:
            self.times.append(seconds)

    def summary(self) -> dict[str, float]:
        p50, p95 = np.quantile(np.array(self.times) * 1000.0, [0.5, 0.95])
        return {
            "time": self.minute * 60,
            "requests": self.requests,
            "failed": self.failed,
            "p50": round(float(p50), 1),
            "p95": round(float(p95), 1),
        }


def _lines(report: Report, every: str) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each line; `every`: labels that all lines carry."""

    def named(name: str, labels: str = "") -> str:
        both = ",".join(filter(None, (every, labels)))
        return f"crossaisle_{name}{{{both}}}" if both else f"crossaisle_{name}"

    for route, status, n in report["requests"]:
        labels = f'route="{_escaped(route)}",status="{status}"'
        yield "requests_total", "counter", f"{named('requests_total', labels)} {n}"
    for route, counts, seconds in report["seconds"]:
        label, total = f'route="{_escaped(route)}"', 0
        for bound, n in zip((*BOUNDS, "+Inf"), counts, strict=True):
            total += n
            bucket = f'{label},le="{bound}"'
            yield "request_seconds", "histogram", f"{named('request_seconds_bucket', bucket)} {total}"
        yield "request_seconds", "histogram", f"{named('request_seconds_sum', label)} {seconds:.6f}"
        yield "request_seconds", "histogram", f"{named('request_seconds_count', label)} {total}"
    for name, n in report["counts"]:
        yield f"{name}_total", "counter", f"{named(f'{name}_total')} {n}"
    for name, value in report["gauges"]:
        yield name, "gauge", f"{named(name)} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
