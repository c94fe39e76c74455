"""`Replica`: keeps one shop in one worker in step with the others that write to the same store.

There are two kinds of news. Events and deleted users are read before the next answer: requests wait for that.
Changes of the catalogue, the model or the experiments take longer: they are applied in the background, and
the worker that was asked for one answers once all workers have it (`exclusive`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from crossaisle.errors import StoreError
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.store.following.change_log import AT_ONCE
from crossaisle.serve.store.following.feed import Snapshot
from crossaisle.serve.store.records import Change, Event
from crossaisle.serve.store.store import Busy, Store
from crossaisle.serve.workers.hosts import HostSlot
from crossaisle.serve.workers.shared_state import APPLIED, READ, SERVING, WorkerSlot

_LOG = logging.getLogger(__name__)


class Deletion(NamedTuple):
    """A deleted user."""

    deleted: float
    """When; what came later stays, whichever of the two is read first."""
    names: list[str]
    """Users known in this worker that have the digest."""


@dataclass(frozen=True)
class Batch:
    """What was read from the store at once."""

    events: list[tuple[int, Event]]
    changes: list[Change]
    deletions: dict[bytes, Deletion]
    """Deleted users by their digests."""
    withdrawn: Sequence[tuple[list[str], str]] = ()
    """Marks of events that were deleted by themselves, each with the users known here whom it may be of."""


class Memory(Protocol):
    """What a worker holds of a shop in memory, as far as replication touches it."""

    def users(self) -> Iterable[str]:
        """Names of all users of whom anything is in memory; called from another thread."""

    def count(self, events: Sequence[Event]) -> None:
        """Makes events count from the next answer on."""

    def withdraw(self, names: Sequence[str], mark: str) -> None:
        """Drops the event with this mark, which was deleted, of the users with these names."""

    def drop(self, digest: bytes, names: Sequence[str], deleted: float) -> None:
        """Forgets the user with this digest."""


Apply = Callable[[Sequence[Change]], Awaitable[None]]
"""Applies changes of other workers."""


class Switch(NamedTuple):
    """The outcome of a model switch."""

    active: str
    """Folder of the model, where whoever switched has it."""
    previous: str
    version: str = ""
    """Of the model, where services of several hosts serve it: each may have it elsewhere."""
    version_before: str = ""

    @classmethod
    def of(cls, body: str, run: str) -> Switch | None:
        """As it is logged; None for one of an earlier run of the service, which does not matter now."""
        known = json.loads(body)
        if known["run"] != run:
            return None
        versions = known.get("version", ""), known.get("version_before", "")
        return cls(known["active"], known["previous"], *versions)


@dataclass(frozen=True)
class ReplicaStart:
    """How far the log of changes goes when a worker starts.

    Read before anything else is: what comes later is applied twice rather than not at all, and applying a
    change twice changes nothing.
    """

    slot: WorkerSlot | HostSlot
    run: str
    """Identifies this run of the service."""
    change: int
    """Number of the last change."""
    switch: Switch | None
    """The last model switch of this run."""

    @classmethod
    def read(cls, store: Store, slot: WorkerSlot | HostSlot, run: str) -> ReplicaStart:
        """As the store is now."""
        change, switch = store.newest_change(), store.model_switch()
        return cls(slot, run, change, None if switch is None else Switch.of(switch, run))


class Replica:
    """Keeps one shop in one worker in step with the others."""

    def __init__(
        self,
        store: Store,
        start: ReplicaStart,
        memory: Memory,
        *,
        event: int,
        limits: WorkerLimits = WorkerLimits(),
    ) -> None:
        """`memory`: holds the store's events up to number `event` and its changes up to `start`."""
        self.store, self.slot, self.run = store, start.slot, start.run
        self.event = event
        """Number of the last event that was counted."""
        self.read = self.applied = start.change
        """Numbers of the last change that was read and of the last that was applied."""
        self._memory, self._limits = memory, limits
        self._commits = -1
        self._feed = store.feed()
        self._thread = ThreadPoolExecutor(1, "replication")
        self._pending: list[Change] = []
        self._pull: asyncio.Task[bool] | None = None
        self._task: asyncio.Task[None] | None = None
        self._entering, self._applying = asyncio.Lock(), asyncio.Lock()
        self._inside = False
        self._retry_at, self._warned = 0.0, False
        self._publish()

    def _publish(self) -> None:
        self.slot.put(READ, self.read)
        self.slot.put(APPLIED, self.applied)

    # Events and deleted users

    async def asked(self) -> None:
        """Called before a request is answered."""
        self.slot.asked()
        await self.catch_up()

    async def catch_up(self, *, written: bool = False) -> None:
        """When this returns, everything counts that any worker acknowledged before it was called.

        `written`: the store has just taken something, so it can be read whatever was a moment ago.
        """
        target = self.slot.commits
        if written:
            self._retry_at = 0.0
        while self._commits < target and time.monotonic() >= self._retry_at:
            if not await self._pulled(self._limits.read_seconds):
                self._retry_at = time.monotonic() + self._limits.retry_seconds

    async def ensure_caught_up(self) -> None:
        """As `catch_up`, where memory alone is not enough; `StoreError` if the store cannot be read."""
        target, end = self.slot.commits, time.monotonic() + self._limits.require_seconds
        while self._commits < target:
            if not await self._pulled(end - time.monotonic()):
                raise StoreError(f"{self.store.name}: recent writes cannot be read: try again in a moment")

    async def _pulled(self, seconds: float) -> bool:
        """Whether a batch could be read within this time."""
        if self._pull is None or self._pull.done():
            self._pull = asyncio.ensure_future(self._read_batch())
        pull = self._pull
        # Not cancelled with one request: others wait for it, too.
        done, _ = await asyncio.wait({pull}, timeout=max(seconds, 0.0))
        if pull in done and (error := pull.exception()):
            _LOG.error("what other workers wrote cannot be applied", exc_info=error)
            return False
        return pull in done and pull.result()

    async def _read_batch(self) -> bool:
        commits = self.slot.commits
        try:
            batch = await asyncio.get_running_loop().run_in_executor(self._thread, self._batch)
        # Whatever it is, lists are answered from memory meanwhile.
        except Exception as error:
            if not self._warned:
                known = isinstance(error, StoreError)
                _LOG.warning("what other workers wrote cannot be read: %s", error, exc_info=not known)
            self._warned = True
            return False
        self._warned = False
        self._take(batch)
        if batch.deletions:
            await self._written()  # what this worker was about to write about them
        self._publish()
        if len(batch.events) < self._limits.max_events_read:
            self._commits = commits
        return True

    async def _written(self) -> None:
        """Waits until everything that this worker has handed to the store by now is done with."""
        while True:
            try:
                return await asyncio.wrap_future(self.store.submit(lambda _: None))
            except Busy:
                await asyncio.sleep(self._limits.poll_seconds)
            except StoreError:  # it takes no writes: nor did it take those
                return None

    def _batch(self) -> Batch:
        with self._feed.snapshot() as snapshot:
            return self._read(snapshot)

    def _read(self, snapshot: Snapshot) -> Batch:
        """Runs in a thread; the memory it reads is changed by the event loop only."""
        events = snapshot.events_since(self.event, self._limits.max_events_read)
        changes = snapshot.changes_since(self.read)
        deleted = [change for change in changes if change.what == "forgotten"]
        singles = [change.body for change in changes if change.what == "withdrawn"]
        withdrawn: list[tuple[str, str]] = [json.loads(body) for body in singles if body]
        if not deleted and not withdrawn:
            return Batch(events, changes, {})
        deletions = {bytes.fromhex(change.name): Deletion(float(change.body), []) for change in deleted}
        names: dict[str, list[str]] = {digest: [] for digest, _ in withdrawn}
        for name in self._memory.users():
            if (digest := self.store.digest_of(name)) in deletions:
                deletions[digest].names.append(name)
            if digest.hex() in names and name not in names[digest.hex()]:
                names[digest.hex()].append(name)
        single = [(names[digest], mark) for digest, mark in withdrawn]
        return Batch(events, changes, deletions, single)

    def _take(self, batch: Batch) -> None:
        """All at once, in the event loop: no request sees half of it."""
        for digest, (deleted, names) in batch.deletions.items():
            self._memory.drop(digest, names, deleted)
        for own, mark in batch.withdrawn:  # before those that came again under the same key
            self._memory.withdraw(own, mark)
        if batch.events:
            self._memory.count([event for _, event in batch.events])
            self.event = batch.events[-1][0]
        if batch.changes:
            self.read = batch.changes[-1].seq
            self._pending += [change for change in batch.changes if change.what not in AT_ONCE]
            if not self._pending:
                self.applied = self.read

    async def read_everywhere(self) -> None:
        """Waits until every worker has read what this one has written; `StoreError`."""
        await self.ensure_caught_up()
        await self.slot.everywhere(READ, self.read)

    # Catalogue, model, experiments

    @asynccontextmanager
    async def exclusive(self, apply: Apply) -> AsyncIterator[None]:
        """No other worker changes anything inside; afterwards all workers have what was changed inside.

        `apply`: for changes of others that came before.
        """
        async with self._entering, self.slot.changing():
            await self.ensure_caught_up()
            await self.apply_pending(apply)
            self._inside, self.store.changes.follows = True, self.read
            try:
                async with self._applying:
                    yield
                await self.ensure_caught_up()
                # This worker's own it has in memory; there are others only where it lost its turn.
                self._pending = [one for one in self._pending if one.seq > (self.store.changes.follows or 0)]
                if not self._pending:
                    self.applied = self.read
                self._publish()
            finally:
                self._inside, self.store.changes.follows = False, None
            await self.slot.everywhere(APPLIED, self.applied)

    async def apply_pending(self, apply: Apply) -> None:
        """Applies changes that were read and not applied yet."""
        async with self._applying:
            while self._pending:
                pending, self._pending, upto = self._pending, [], self.read
                await apply(pending)
                self.applied = upto
                self._publish()

    # Start and stop

    async def start(self, apply: Apply, report: Callable[[], Any]) -> None:
        """Before the first request: from now on others wait for this worker, and it waits for nobody.

        `report`: what the others show for this worker.
        """
        self.slot.put(SERVING, 1)
        with suppress(StoreError):
            await self.slot.published()
            await self.ensure_caught_up()  # nobody has waited for this worker until now
        await self.apply_pending(apply)
        self._task = asyncio.create_task(self._run(apply, report))

    async def _run(self, apply: Apply, report: Callable[[], Any]) -> None:
        reported = 0.0
        while True:
            await asyncio.sleep(self._limits.poll_seconds)
            await self.catch_up()
            if self._pending and not self._inside:
                try:
                    await self.apply_pending(apply)
                except Exception:
                    _LOG.exception("worker %d cannot follow the others and is restarted", self.slot.worker)
                    self.slot.put(SERVING, 0)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            if time.monotonic() - reported >= self._limits.report_seconds:
                reported = time.monotonic()
                self.slot.report(report())

    async def stop(self) -> None:
        """After the last request."""
        self.slot.put(SERVING, 0)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def close(self) -> None:
        """Closes the connection to the store."""
        self._thread.shutdown(wait=True)
        self._feed.close()
        self.slot.close()
