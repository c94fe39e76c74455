"""`Batcher`: requests that come while others are being scored are scored together next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from crossaisle.answer import RecommendationList
from crossaisle.data.query import Query
from crossaisle.errors import CrossaisleError
from crossaisle.recommend import Request
from crossaisle.serve.live import LiveShop
from crossaisle.serve.metrics import Metrics

LARGEST = 32
"""Queries scored at once."""
WAITING = 2048
"""Queries that may wait; more are refused with 503."""


class Overloaded(CrossaisleError):
    """More questions are waiting than can be answered in time."""

    status = 503


class Batcher:
    """Asks the current shop; scoring runs in one thread beside the event loop."""

    def __init__(self, shop: Callable[[], LiveShop], metrics: Metrics) -> None:
        self._shop, self._metrics = shop, metrics
        self._waiting: list[tuple[Query, asyncio.Future[RecommendationList]]] = []
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "scoring")

    async def ask(self, query: Query) -> RecommendationList:
        """The list for a query; raises what `Recommender.recommend` raises, and `Overloaded`."""
        answer = None if query.explain else self._shop().quick(query)
        if answer is not None and not isinstance(answer, Request):
            return answer
        if len(self._waiting) >= WAITING:
            raise Overloaded("too many requests are waiting: try again in a moment")
        future: asyncio.Future[RecommendationList] = asyncio.get_running_loop().create_future()
        self._waiting.append((query, future))
        if not self._busy:
            self._busy = True
            # Others that arrived in the same turn of the loop come along.
            asyncio.get_running_loop().call_soon(self._next)
        return await future

    @property
    def calm(self) -> float:
        """Seconds since the last request of any kind; 0 while somebody waits for a list."""
        return 0.0 if self._busy else time.monotonic() - self._metrics.answered

    async def prepare(self, queries: Sequence[Query]) -> None:
        """Scores queries whose answers nobody waits for, to be kept."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shop().slow, queries)

    def _next(self) -> None:
        batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        if not batch:
            self._busy = False
            return
        self._metrics.batch_sizes[len(batch)] += 1
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._shop().slow, [query for query, _ in batch])
        work.add_done_callback(lambda done: self._deliver([f for _, f in batch], done))

    def _deliver(
        self,
        futures: list[asyncio.Future[RecommendationList]],
        done: asyncio.Future[list[RecommendationList | Exception]],
    ) -> None:
        problem = done.exception()
        answers = [problem] * len(futures) if problem else done.result()
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue  # whoever asked has gone
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            elif answer is not None:
                future.set_result(answer)
        self._next()

    def end(self) -> None:
        """Lets the thread end once what is under way is done; the batcher must not be asked again."""
        self._thread.shutdown(wait=False)

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=True)
