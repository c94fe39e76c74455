"""`Batcher`: queries that arrive while others are being scored are scored together next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from crossaisle.data.query import Placement, Query
from crossaisle.recommend.answer import Recommendation, RecommendationList
from crossaisle.serve.limits.live import QueueLimits
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.queues.heavy_queue import Heavy, Overloaded, is_heavy
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.metrics import Metrics


class Batcher:
    """Scores for the current shop in one thread beside the event loop, heavy queries in another."""

    def __init__(
        self,
        shop: Callable[[], LiveRecommender],
        metrics: Metrics,
        heavy: Heavy,
        limits: QueueLimits = QueueLimits(),
    ) -> None:
        self._shop, self._metrics, self._heavy, self._limits = shop, metrics, heavy, limits
        self._waiting: list[tuple[Asked, asyncio.Future[RecommendationList]]] = []
        self._busy = False
        """Whether a batch is being scored, or is about to be."""
        self._expected, self._until = 0, 0.0
        """How many queries may come together again, and until when they are waited for."""
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._thread = ThreadPoolExecutor(1, "scoring")

    async def ask(self, query: Query, client: str = "") -> RecommendationList:
        """The list for a query; raises what `Recommender.recommend` raises, `Overloaded` and `TooMany`.

        `client`: the key or address that asks, for the limit of heavy queries.
        """
        if is_heavy(query, self._limits):
            return await self._heavy.run(client, self._alone, query)
        answer = self._shop().from_cache(query)
        if not isinstance(answer, Asked):
            return answer
        if len(self._waiting) >= self._limits.waiting_queries:
            raise Overloaded("too many requests are waiting: try again in a moment")
        future: asyncio.Future[RecommendationList] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, future))
        if not self._busy:
            self._wait_or_start()
        return await future

    def _wait_or_start(self) -> None:
        """Starts a batch once all are there who may be coming together again.

        Clients that were answered together ask together: without them, batches would settle into halves that
        take turns, and a half costs nearly as much as the whole.
        """
        loop = asyncio.get_running_loop()
        late = self._until - loop.time()
        if late > 0 and len(self._waiting) < self._expected:
            if self._timer is None:
                self._timer = loop.call_later(late, self._start)
            return
        self._start()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._busy:
            self._busy = True
            # Queries that arrive in the same turn of the loop join the batch.
            asyncio.get_running_loop().call_soon(self._next)

    def _alone(self, query: Query) -> RecommendationList:
        shop = self._shop()
        if not query.explain and not isinstance(answer := shop.from_cache(query), Asked):
            return answer
        return shop.recommend(query)

    async def explain(
        self, query: Query, items: Sequence[Recommendation], served: Placement, client: str = ""
    ) -> list[Recommendation]:
        """Items of a list for a query, explained."""
        return await self._heavy.run(client, self._shop().explained, query, items, served)

    def scarce_items(self) -> tuple[str, ...]:
        """As `LiveRecommender.scarce_items`."""
        return self._shop().scarce_items

    @property
    def calm(self) -> float:
        """Seconds since the last request of any kind; 0 while a query is waiting."""
        asked = self._busy or self._waiting or self._heavy.busy
        return 0.0 if asked else time.monotonic() - self._metrics.answered

    async def prepare(self, queries: Sequence[Query]) -> None:
        """Scores queries that nobody is waiting for, so that their rankings are kept."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shop().score_many, queries)

    def _next(self) -> None:
        n, left = self._limits.batch_queries, [one for one in self._waiting if not one[1].done()]
        batch, self._waiting = left[:n], left[n:]  # nobody waits for what a cut-off request asked for
        if not batch:
            self._busy = False
            self._end_if_done()
            return
        self._metrics.batch_sizes[len(batch)] += 1
        loop = asyncio.get_running_loop()
        start = loop.time()
        work = loop.run_in_executor(self._thread, self._shop().score_many, [asked for asked, _ in batch])
        work.add_done_callback(lambda done: self._deliver([f for _, f in batch], done, start))

    def _deliver(
        self,
        futures: list[asyncio.Future[RecommendationList]],
        done: asyncio.Future[list[RecommendationList | Exception]],
        start: float,
    ) -> None:
        problem = done.exception()
        answers = [problem] * len(futures) if problem else done.result()
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue  # the client has gone
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            elif answer is not None:
                future.set_result(answer)
        now, limits = asyncio.get_running_loop().time(), self._limits
        self._busy = False
        self._expected = min(len(futures) + len(self._waiting), limits.batch_queries)
        self._until = now + min(limits.wait_share * (now - start), limits.wait_seconds)
        if self._waiting:
            self._wait_or_start()
        self._end_if_done()

    def end(self) -> None:
        """Ends the thread after all queries that are waiting, from the shop of now; none may follow."""
        shop, self._ending = self._shop(), True
        self._shop = lambda: shop
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._ending and not self._busy and not self._waiting:
            self._thread.shutdown(wait=False)

    def close(self) -> None:
        """Waits for what is queued and ends the thread."""
        self._thread.shutdown(wait=True)
