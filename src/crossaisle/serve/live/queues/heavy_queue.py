"""`Heavy`: slow queries have a queue and a thread of their own, so that plain lists overtake them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from crossaisle.data.query import Query
from crossaisle.errors import CrossaisleError
from crossaisle.serve.limits.live import QueueLimits

T = TypeVar("T")


class Overloaded(CrossaisleError):
    """More queries are waiting than can be answered in time."""

    status = 503


class TooMany(CrossaisleError):
    """One client has too many heavy queries waiting."""

    status = 429


def is_heavy(query: Query, limits: QueueLimits = QueueLimits()) -> bool:
    """Whether a query takes so long that plain ones must not wait for it."""
    named = len(query.include_categories) + len(query.exclude_categories) + len(query.quotas)
    items = len(query.include_items) + len(query.exclude_items)
    places = limits.diverse_places if query.reorders else limits.plain_places
    long = query.depth > places or named > limits.plain_categories or items > limits.plain_items
    return query.explain or long


class Heavy:
    """The heavy queries of one shop: one at a time, a limited number waiting."""

    def __init__(self, limits: QueueLimits = QueueLimits()) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "heavy")
        self._of: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether any query waits or is being answered."""
        return bool(self._of)

    async def run(self, client: str, work: Callable[..., T], *arguments: Any) -> T:
        """Runs `work` in the thread. Raises `Overloaded`, or `TooMany` for the client."""
        if self._of.total() >= self._limits.waiting_heavy:
            raise Overloaded("too many heavy requests are waiting: try again in a moment")
        if self._of[client] >= (most := self._limits.heavy_per_client):
            raise TooMany(
                f"{most} of your heavy requests are waiting (explanations, long lists): "
                "wait for an answer before you send the next one"
            )
        self._of[client] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._of[client] -= 1
            if not self._of[client]:
                del self._of[client]

    def close(self) -> None:
        """Waits for what is queued and ends the thread."""
        self._thread.shutdown(wait=True)
