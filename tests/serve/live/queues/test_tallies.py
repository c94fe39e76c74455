"""Counts over a whole log are made once for all who ask, outside the event loop."""

from __future__ import annotations

import asyncio
import gc
import time
from threading import Event

import pytest

pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
from crossaisle.serve.limits.live import QueueLimits
from crossaisle.serve.live.queues.heavy_queue import Overloaded
from crossaisle.serve.live.queues.tallies import Tallies


def test_all_who_ask_meanwhile_get_the_same_tally_and_it_is_made_once() -> None:
    async def run() -> None:
        made, go = [], Event()

        def work() -> int:
            go.wait(5)
            made.append(1)
            return len(made)

        counts = Tallies()
        asked = [asyncio.ensure_future(counts.of("links", work)) for _ in range(20)]
        await asyncio.sleep(0.02)
        asked[0].cancel()  # who asked first goes away
        go.set()
        assert await asyncio.gather(*asked[1:]) == [1] * 19
        assert await counts.of("links", work) == 2  # quick ones are made anew
        counts.close()

    asyncio.run(run())


def test_a_tally_that_took_long_is_kept_for_ten_times_as_long() -> None:
    limits = QueueLimits(quick_tally_seconds=0.01)

    async def run() -> None:
        made = []

        def work() -> int:
            time.sleep(0.03)
            made.append(1)
            return len(made)

        counts = Tallies(limits)
        assert [await counts.of("race", work) for _ in range(4)] == [1] * 4
        assert await counts.of("other", work) == 2
        await asyncio.sleep(0.5)
        assert await counts.of("race", work) == 3
        counts.close()

    asyncio.run(run())


def test_nobody_collects_garbage_while_a_log_is_in_memory() -> None:
    async def run() -> None:
        counts = Tallies()
        assert not await counts.of("log", gc.isenabled)
        assert gc.isenabled()
        counts.close()

    asyncio.run(run())


def test_a_tally_that_fails_fails_for_all_and_is_tried_again() -> None:
    async def run() -> None:
        def broken() -> None:
            raise ValueError("away")

        counts = Tallies()
        found = await asyncio.gather(*(counts.of("x", broken) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in found] == ["away"] * 3
        assert await counts.of("x", lambda: 7) == 7
        counts.close()

    asyncio.run(run())


def test_only_so_many_different_tallies_wait() -> None:
    limits = QueueLimits(waiting_tallies=2)

    async def run() -> None:
        go, counts = Event(), Tallies(limits)
        asked = [asyncio.ensure_future(counts.of(n, lambda: go.wait(5))) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="too many results are waiting: try again in a moment"):
            await counts.of(2, lambda: True)
        go.set()
        assert all(await asyncio.gather(*asked))
        counts.close()

    asyncio.run(run())
