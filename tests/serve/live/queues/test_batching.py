"""Queries that arrive together are scored together; a batch waits for clients answered together."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from crossaisle.data.query import Query
from crossaisle.recommend.answer import RecommendationList
from crossaisle.serve.limits.live import QueueLimits
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.queues.batching import Batcher
from crossaisle.serve.live.queues.heavy_queue import Heavy
from crossaisle.serve.metrics import Metrics

BATCH_SECONDS = 0.02


class Shop:
    """Takes a while for each batch, however large."""

    def from_cache(self, query: Query) -> Any:
        return Asked(query, None, (0, 0, 0), self)  # type: ignore[arg-type]

    def score_many(self, asked: list[Asked]) -> list[RecommendationList]:
        time.sleep(BATCH_SECONDS)
        return [RecommendationList("for_you", "for_you", one.query.user, ()) for one in asked]


async def sizes_of(n: int, seconds: float, limits: QueueLimits) -> list[int]:
    """Sizes of the batches in which `n` clients are answered, who each ask again after 1 ms."""
    metrics, shop, sizes = Metrics(), Shop(), []
    heavy = Heavy(limits)
    batcher = Batcher(lambda: shop, metrics, heavy, limits)  # type: ignore[arg-type,return-value]
    score = shop.score_many
    shop.score_many = lambda asked: sizes.append(len(asked)) or score(asked)  # type: ignore[method-assign,func-returns-value]
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        await asyncio.sleep(0.004 * number)
        while time.perf_counter() < end:
            answer = await batcher.ask(Query(user=str(number)))
            assert answer.user == str(number)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(client(number) for number in range(n)))
    batcher.close()
    heavy.close()
    return sizes


def test_clients_who_ask_again_at_once_form_whole_batches() -> None:
    limits = QueueLimits(wait_seconds=0.01)
    sizes = asyncio.run(sizes_of(6, 0.5, limits))
    assert sizes[3:-2]
    assert min(sizes[3:-2]) == 6


def test_one_alone_is_not_kept_waiting() -> None:
    limits = QueueLimits(wait_seconds=10.0, wait_share=1000.0)
    assert len(asyncio.run(sizes_of(1, 0.3, limits))) > 5


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_query_left_alone_waits_no_longer_than_the_batch_window(share: float) -> None:
    limits = QueueLimits(wait_share=share)

    async def left_alone() -> float:
        heavy, shop = Heavy(limits), Shop()
        batcher = Batcher(lambda: shop, Metrics(), heavy, limits)  # type: ignore[arg-type,return-value]
        await asyncio.gather(*(batcher.ask(Query(user=str(number))) for number in range(8)))
        start = time.perf_counter()
        await batcher.ask(Query(user="one of them"))
        took = time.perf_counter() - start
        batcher.close()
        heavy.close()
        return took

    assert asyncio.run(left_alone()) < 10 * BATCH_SECONDS


def test_queries_that_wait_while_an_arm_ends_are_answered() -> None:
    """One batch is being scored, the next one waits."""

    async def ended() -> list[Any]:
        limits = QueueLimits(batch_queries=1)
        heavy, arms = Heavy(limits), {"arm": Shop()}
        batcher = Batcher(lambda: arms["arm"], Metrics(), heavy, limits)  # type: ignore[arg-type,return-value]
        asked = [asyncio.create_task(batcher.ask(Query(user=str(number)))) for number in range(4)]
        await asyncio.sleep(BATCH_SECONDS / 2)
        batcher.end()
        arms.clear()
        answers = await asyncio.wait_for(asyncio.gather(*asked), 5)
        assert batcher._thread._shutdown
        heavy.close()
        return [answer.user for answer in answers]

    assert asyncio.run(ended()) == ["0", "1", "2", "3"]


def test_what_nobody_waits_for_any_more_is_not_scored() -> None:
    scored: list[str | None] = []

    async def cut_off() -> None:
        limits, shop = QueueLimits(), Shop()
        heavy = Heavy(limits)
        batcher = Batcher(lambda: shop, Metrics(), heavy, limits)  # type: ignore[arg-type,return-value]
        score = shop.score_many
        shop.score_many = lambda asked: (  # type: ignore[method-assign]
            scored.extend(one.query.user for one in asked) or score(asked)  # type: ignore[func-returns-value]
        )
        first = asyncio.create_task(batcher.ask(Query(user="first")))
        await asyncio.sleep(BATCH_SECONDS / 2)
        gone, last = [asyncio.create_task(batcher.ask(Query(user=user))) for user in ("gone", "last")]
        await asyncio.sleep(0)
        gone.cancel()
        assert [(await first).user, (await last).user] == ["first", "last"]
        batcher.close()
        heavy.close()

    asyncio.run(cut_off())
    assert scored == ["first", "last"]
