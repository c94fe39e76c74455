"""`Tallies`: counts over a whole log, computed once for all concurrent requests, in a separate thread."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from crossaisle.serve.limits.live import QueueLimits
from crossaisle.serve.live.queues.heavy_queue import Overloaded

T = TypeVar("T")


class Tallies:
    """The tallies of one shop. Requests for one that is being counted wait for the same result."""

    def __init__(self, limits: QueueLimits = QueueLimits()) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "tallies")
        self._making: dict[Hashable, asyncio.Task[Any]] = {}
        self._made: dict[Hashable, tuple[float, Any]] = {}

    async def alone(self, work: Callable[[], T]) -> T:
        """Runs work in the thread whose result serves one request only."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def of(self, what: Hashable, work: Callable[[], Any]) -> Any:
        """The tally `what`, computed by `work` in the thread or reused. Raises `Overloaded`."""
        now = time.monotonic()
        self._made = {key: made for key, made in self._made.items() if made[0] > now}
        if what in self._made:
            return self._made[what][1]
        if what not in self._making:
            if len(self._making) >= self._limits.waiting_tallies:
                raise Overloaded("too many results are waiting: try again in a moment")
            self._making[what] = asyncio.ensure_future(self._make(what, work))
        # Not cancelled with the first request: others wait for it, too.
        return await asyncio.shield(self._making[what])

    async def _make(self, what: Hashable, work: Callable[[], Any]) -> Any:
        def timed() -> tuple[float, Any]:
            start, collects = time.monotonic(), gc.isenabled()
            gc.disable()  # a log is millions of objects: a collection would stall every thread
            try:
                result = work()
            finally:
                if collects:
                    gc.enable()
            return time.monotonic() - start, result

        try:
            seconds, result = await asyncio.get_running_loop().run_in_executor(self._thread, timed)
        finally:
            del self._making[what]
        if seconds > self._limits.quick_tally_seconds:
            self._made[what] = time.monotonic() + self._limits.tally_reuse * seconds, result
        return result

    def close(self) -> None:
        """Waits for what is queued and ends the thread."""
        self._thread.shutdown(wait=True)
