"""`SharedState`: numbers that the workers of one service share, in an unnamed file that each maps.

Every number has one process that writes it, so nothing needs an atomic addition; 8 bytes are written at
once. A worker that exits leaves its numbers behind and its successor goes on from there. Why not ask the
database who wrote: this costs less than a microsecond and works the same for every store.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from crossaisle.errors import ConfigError, StoreError
from crossaisle.serve.limits.workers import WorkerLimits

COMMITS, READ, APPLIED, SERVING, ASKED, OPEN, LOCKED, UNMARKED = range(8)
"""Commits so far; number of the last change read and of the last applied; whether requests are answered;
when the last one was (monotonic milliseconds, one clock for the whole machine); open connections; whether
an API key was seen; whether the store is held but not marked as held, because it cannot be written to."""
FIELDS = 8
REPORT = 1 << 17
"""Bytes reserved for what a worker reports about a shop for `/metrics`."""


class SharedState:
    """The numbers of all shops and all workers."""

    def __init__(
        self, fd: int, shops: Sequence[str], workers: int, *, limits: WorkerLimits = WorkerLimits()
    ) -> None:
        """`fd`: of the file, inherited; `shops`: the same names in the same order in every process."""
        self.fd, self.shops, self.workers, self.limits = fd, list(shops), workers, limits
        self._map = mmap.mmap(fd, _numbers(len(self.shops), workers))
        self.numbers = memoryview(self._map).cast("q")

    @classmethod
    def create(
        cls, shops: Sequence[str], workers: int, *, limits: WorkerLimits = WorkerLimits()
    ) -> SharedState:
        """A new one; it disappears with the last process that has it open, however that ends."""
        try:
            import fcntl  # noqa: F401
        except ImportError:
            raise ConfigError("--workers: several workers need Linux or macOS; start with one") from None
        with tempfile.TemporaryFile() as file:
            file.truncate(_numbers(len(shops), workers) + len(shops) * workers * REPORT)
            return cls(os.dup(file.fileno()), shops, workers, limits=limits)

    def slot(self, shop: str, worker: int) -> WorkerSlot:
        """The numbers of one shop in one worker."""
        return WorkerSlot(self, self.shops.index(shop), worker)

    def set_unmarked(self, shop: str) -> None:
        """Records, before any worker starts, that a store is held without a mark in it."""
        for worker in range(self.workers):
            self.slot(shop, worker).put(UNMARKED, 1)

    def worker_exited(self, worker: int) -> None:
        """Nobody waits for this worker from now on, and the others read what it may have written last."""
        for shop in range(len(self.shops)):
            at = (shop * self.workers + worker) * FIELDS
            self.numbers[at + SERVING] = 0
            self.numbers[at + COMMITS] += 1

    def has_spare_worker(self, worker: int, connections: int) -> bool:
        """Whether another worker has fewer connections; publishes how many this one has."""
        self.numbers[worker * FIELDS + OPEN] = connections
        others = (n * FIELDS for n in range(self.workers) if n != worker)
        return any(self.numbers[at + SERVING] and self.numbers[at + OPEN] < connections for at in others)

    def lock(self, worker: int) -> None:
        """This worker saw an API key: from now on no worker answers without one, nor one started later."""
        self.numbers[worker * FIELDS + LOCKED] = 1

    @property
    def locked(self) -> bool:
        """Whether any worker saw an API key."""
        return any(self.numbers[worker * FIELDS + LOCKED] for worker in range(self.workers))

    def close(self) -> None:
        """Unmaps and closes the file, once."""
        self.numbers.release()
        self._map.close()
        fd, self.fd = self.fd, -1
        if fd >= 0:  # a number that is closed twice may be somebody else's by then
            os.close(fd)


class WorkerSlot:
    """One shop in one worker: writes its own numbers and reads those of the others."""

    def __init__(self, shared: SharedState, shop: int, worker: int) -> None:
        self.shared, self.worker, self._shop = shared, worker, shop
        first = shop * shared.workers
        self._numbers = shared.numbers[first * FIELDS : (first + shared.workers) * FIELDS]
        self._own = worker * FIELDS

    @property
    def place(self) -> int:
        """A number that no other process has which serves from the store."""
        return self.worker

    async def published(self) -> None:
        """Once the others see what was put: at once."""

    def get(self, field: int) -> int:
        """A number of this worker."""
        return self._numbers[self._own + field]

    def put(self, field: int, value: int) -> None:
        """Sets a number of this worker."""
        self._numbers[self._own + field] = value

    def committed(self) -> None:
        """This worker wrote something: the others read it before their next answer."""
        self._numbers[self._own + COMMITS] += 1

    @property
    def commits(self) -> int:
        """Commits of all workers together."""
        return sum(self._numbers[COMMITS::FIELDS])

    def asked(self) -> None:
        """This worker answers a request."""
        self._numbers[self._own + ASKED] = int(time.monotonic() * 1000)

    @property
    def idle_seconds(self) -> float:
        """Seconds since any worker answered a request."""
        return time.monotonic() - max(self._numbers[ASKED::FIELDS]) / 1000

    def close(self) -> None:
        """Its numbers stay, for a successor."""

    async def everywhere(self, field: int, value: int) -> None:
        """Waits until every worker that serves has reached `value`; `StoreError` if one does not."""
        limits, workers = self.shared.limits, range(self.shared.workers)
        end = time.monotonic() + limits.follow_seconds
        while late := [worker for worker in workers if not self._has(worker, field, value)]:
            if time.monotonic() > end:
                raise StoreError(f"stored, but worker {late[0]} has not applied it yet: try again soon")
            await asyncio.sleep(limits.wait_seconds)

    def _has(self, worker: int, field: int, value: int) -> bool:
        at = worker * FIELDS
        return not self._numbers[at + SERVING] or self._numbers[at + field] >= value

    # Locks of the operating system: they are released when a process exits.

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One worker writes to the store at a time. A waiting one wakes at once, where SQLite would sleep."""
        import fcntl

        # With several shops the system may see a deadlock between processes where the threads have none.
        # The database has locks of its own, so going on without this one is only slower.
        with suppress(OSError):
            fcntl.lockf(self.shared.fd, fcntl.LOCK_EX, 1, 2 * self._shop)
        try:
            yield
        finally:
            fcntl.lockf(self.shared.fd, fcntl.LOCK_UN, 1, 2 * self._shop)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """One worker changes catalogue, model or experiments at a time."""
        import fcntl

        while True:
            try:
                fcntl.lockf(self.shared.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * self._shop + 1)
                break
            except OSError:
                await asyncio.sleep(self.shared.limits.wait_seconds)
        try:
            yield
        finally:
            fcntl.lockf(self.shared.fd, fcntl.LOCK_UN, 1, 2 * self._shop + 1)

    # Reports

    def report(self, what: Any) -> None:
        """Publishes what other workers show for this one in `/metrics`."""
        text = json.dumps(what).encode()
        if len(text) + 8 <= REPORT:
            head = len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little")
            os.pwrite(self.shared.fd, head + text, self._offset(self.worker))

    def reports(self) -> Iterator[tuple[int, Any]]:
        """What the other workers published, by their numbers; not of one that is just writing."""
        for worker in range(self.shared.workers):
            if worker == self.worker:
                continue
            record = os.pread(self.shared.fd, REPORT, self._offset(worker))
            text = record[8 : 8 + int.from_bytes(record[:4], "little")]
            if text and zlib.crc32(text).to_bytes(4, "little") == record[4:8]:
                yield worker, json.loads(text)

    def _offset(self, worker: int) -> int:
        shared = self.shared
        numbers = _numbers(len(shared.shops), shared.workers)
        return numbers + (self._shop * shared.workers + worker) * REPORT


def _numbers(shops: int, workers: int) -> int:
    """Bytes of the mapped part, in whole pages."""
    page = mmap.ALLOCATIONGRANULARITY
    return -(-shops * workers * FIELDS * 8 // page) * page
