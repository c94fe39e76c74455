"""`RateLimit`: requests per second of each client."""

from __future__ import annotations

import time
from collections import OrderedDict

from crossaisle.serve.api.problems import RefusedError


class RateLimit:
    """A token bucket per client, which holds two seconds' worth of requests."""

    def __init__(self, rate: float | None, *, clients: int) -> None:
        """`rate`: requests per second; None for no limit. `clients`: how many are tracked."""
        self._rate, self._clients = rate, clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens left and the time of the last request, least recent client first."""

    def count(self, client: str) -> None:
        """Counts a request; `RefusedError` (429) where the client has sent too many."""
        rate = self._rate
        if not rate:
            return
        now = time.monotonic()
        left, at = self._buckets.pop(client, (2 * rate, now))
        left = min(2 * rate, left + (now - at) * rate) - 1.0
        self._buckets[client] = max(left, 0.0), now
        if len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        if left < 0:
            raise RefusedError(429, f"more than {rate:g} requests per second", {"Retry-After": "1"})
