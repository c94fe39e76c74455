"""`Replica`: one of several workers takes in what the others wrote to the store they share.

Two kinds of things. Events and forgotten people are read before the next answer: whoever asks waits for that.
A change of the catalogue, of the model or of the experiments takes longer: it is made in the background, and
the worker that was asked for it answers when all have it (`alone`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from crossaisle.errors import StoreError, cleaned
from crossaisle.serve.live.event_counts import ARRIVALS
from crossaisle.serve.store.engine import COLUMNS, Event, SqlConnection
from crossaisle.serve.store.store import Busy, Store, latest_times
from crossaisle.serve.workers.shared_state import APPLIED, READ, SERVING, WorkerSlot

if TYPE_CHECKING:
    from crossaisle.serve.service import ShopService

_LOG = logging.getLogger(__name__)
POLL_SECONDS = 0.02
"""How often a worker looks at the board when nobody asks it anything."""
REPORT_SECONDS = 1.0
"""How often it puts its metrics down for the others."""
PORTION = 2000
"""Events read at once: a large import must not hold up everybody else."""
WAIT_SECONDS = 1.0
"""Lists are answered from memory where the store does not answer within this time."""
AGAIN_SECONDS = 0.5
PATIENCE = 60.0
"""A deletion or change that this worker cannot read itself in this time is answered with 503; it is kept."""


class Change(NamedTuple):
    """Something that other workers take in."""

    seq: int
    what: str
    """item, forgotten, model or experiment."""
    name: str
    body: str


class Gone(NamedTuple):
    """A forgotten person."""

    deleted: float
    """When; what came later stays, whichever of the two is read first."""
    names: list[str]
    """That have the digest, as far as they are known here."""


@dataclass(frozen=True)
class News:
    """What was read at once."""

    events: list[tuple[int, Event]]
    changes: list[Change]
    gone: dict[bytes, Gone]
    """Forgotten people by their digests."""
    arrived: list[float]
    """Times of the latest events that were counted before; [] where nobody was forgotten."""


class Replica:
    """Of one shop in one worker. Numbers are read before anything else is: what comes later is taken in twice
    rather than not at all, and taking a change in twice changes nothing.
    """

    def __init__(self, store: Store, seat: WorkerSlot, run: str) -> None:
        """`run`: what tells this run of the service from earlier ones, whose active model does not matter."""
        self.store, self.seat, self.run = store, seat, run
        self.event = 0
        """Number of the last event that was counted."""
        self.latest: tuple[str, str] | None = None
        """Active and previous model, where they were switched in this run."""
        self._commits = -1
        self._connection: SqlConnection | None = None
        self._thread = ThreadPoolExecutor(1, "following")
        self._pending: list[Change] = []
        self._pull: asyncio.Task[bool] | None = None
        self._task: asyncio.Task[None] | None = None
        self._entering, self._inside = asyncio.Lock(), False
        self._away_until, self._told = 0.0, False
        with store.reading() as connection:
            self.read = int(connection.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0])
            found = connection.execute("SELECT body FROM changes WHERE what = 'model'").fetchone()
        if found is not None:
            self.latest = self.model_of(found[0])
        self.applied = self.read
        self._publish()

    def bind(self, service: ShopService) -> None:
        """Whose memory it is."""
        self._service = service

    def _publish(self) -> None:
        self.seat.put(READ, self.read)
        self.seat.put(APPLIED, self.applied)

    def model_of(self, body: str) -> tuple[str, str] | None:
        """Active and previous model after a switch; None for one of an earlier run."""
        found = json.loads(body)
        return (found["active"], found["previous"]) if found["run"] == self.run else None

    # Events and people

    async def asked(self) -> None:
        """Before a request is answered."""
        self.seat.asked()
        await self.fresh()

    async def fresh(self) -> None:
        """When this returns, everything counts that any worker acknowledged before it was called."""
        target = self.seat.commits
        while self._commits < target and time.monotonic() >= self._away_until:
            if not await self._pulled(WAIT_SECONDS):
                self._away_until = time.monotonic() + AGAIN_SECONDS

    async def up_to_date(self) -> None:
        """As `fresh`, where memory alone will not do; `StoreError` where the store cannot be read."""
        target, end = self.seat.commits, time.monotonic() + PATIENCE
        while self._commits < target:
            if not await self._pulled(end - time.monotonic()):
                raise StoreError(f"{self.store.name}: what was written cannot be read: ask again in a moment")

    async def _pulled(self, seconds: float) -> bool:
        """Whether something could be read in so much time."""
        if self._pull is None or self._pull.done():
            self._pull = asyncio.ensure_future(self._once())
        pull = self._pull
        # Not cancelled with whoever waits: others do, too.
        done, _ = await asyncio.wait({pull}, timeout=max(seconds, 0.0))
        if pull in done and (error := pull.exception()):
            _LOG.error("what other workers wrote cannot be taken in", exc_info=error)
            return False
        return pull in done and pull.result()

    async def _once(self) -> bool:
        commits = self.seat.commits
        try:
            news = await asyncio.get_running_loop().run_in_executor(self._thread, self._news)
        # Whatever it is, lists are answered from memory meanwhile.
        except Exception as error:
            if not self._told:
                known = isinstance(error, StoreError)
                _LOG.warning("what other workers wrote cannot be read: %s", error, exc_info=not known)
            self._told = True
            return False
        self._told = False
        self._take(news)
        if news.gone:
            await self._written()  # what this worker was about to write about them
        self._publish()
        if len(news.events) < PORTION:
            self._commits = commits
        return True

    async def _written(self) -> None:
        """Waits until nothing is under way any more that this worker has handed to the store by now."""
        while True:
            try:
                return await asyncio.wrap_future(self.store.submit(lambda _: None))
            except Busy:
                await asyncio.sleep(POLL_SECONDS)
            except StoreError:  # it takes no writes: nor did it take those
                return None

    def _news(self) -> News:
        engine = self.store.engine
        try:
            if self._connection is None:
                self._connection = engine.reader()
            self._connection.execute(engine.begin_reading)
            news = self._read(self._connection)
            self._connection.execute("COMMIT")
            return news
        except engine.errors as error:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(*engine.errors):
                    connection.close()
            raise StoreError(f"{self.store.name}: {cleaned(error, str(self.store.path))[:200]}") from error

    def _read(self, connection: SqlConnection) -> News:
        """Runs in a thread; the memory it looks at is changed by the event loop only."""
        query = f"SELECT seq, {COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT {PORTION}"
        events = [(seq, Event(*row)) for seq, *row in connection.execute(query, (self.event,))]
        query = "SELECT seq, what, name, body FROM changes WHERE seq > ? ORDER BY seq"
        changes = [Change(*row) for row in connection.execute(query, (self.read,))]
        people = [change for change in changes if change.what == "forgotten"]
        if not people:
            return News(events, changes, {}, [])
        gone = {bytes.fromhex(change.name): Gone(float(change.body), []) for change in people}
        for name in self._service.everybody():
            if (digest := self.store.digest_of(name)) in gone:
                gone[digest].names.append(name)
        return News(events, changes, gone, latest_times(connection, ARRIVALS, self.event))

    def _take(self, news: News) -> None:
        """All at once, in the event loop: nobody sees half of it."""
        for digest, (deleted, names) in news.gone.items():
            self._service.drop(digest, names, deleted, news.arrived)
        if news.events:
            self._service.count([event for _, event in news.events])
            self.event = news.events[-1][0]
        if news.changes:
            self.read = news.changes[-1].seq
            self._pending += [change for change in news.changes if change.what != "forgotten"]
            if not self._pending:
                self.applied = self.read

    async def forgotten(self) -> None:
        """Waits until every worker has taken in what this one has written; `StoreError`."""
        await self.up_to_date()
        await self.seat.everywhere(READ, self.read)

    # Catalogue, model, experiments

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else changes anything in here; behind it, all workers have what was changed."""
        async with self._entering, self.seat.changing():
            await self.up_to_date()
            await self.catch_up()
            self._inside = True
            try:
                yield
                await self.up_to_date()
                self._pending = []  # this worker's own, which it has in memory
                self.applied = self.read
                self._publish()
            finally:
                self._inside = False
            await self.seat.everywhere(APPLIED, self.applied)

    async def catch_up(self) -> None:
        """Takes in what was read and not applied yet."""
        async with self._service.changing:
            while self._pending:
                pending, self._pending, upto = self._pending, [], self.read
                await self._service.follow(pending)
                self.applied = upto
                self._publish()

    # The life of it

    async def start(self) -> None:
        """Before the first request: from now on others wait for this worker, and it for nobody."""
        self.seat.put(SERVING, 1)
        with suppress(StoreError):
            await self.up_to_date()  # nobody has waited for this worker until now
        await self.catch_up()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        reported = 0.0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.fresh()
            if self._pending and not self._inside:
                try:
                    await self.catch_up()
                except Exception:
                    _LOG.exception("worker %d cannot follow the others and is started anew", self.seat.worker)
                    self.seat.put(SERVING, 0)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            if time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                self.seat.report(self._service.report())

    async def stop(self) -> None:
        """After the last request."""
        self.seat.put(SERVING, 0)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def close(self) -> None:
        """Lets go of the store."""
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            with suppress(*self.store.engine.errors):
                self._connection.close()
