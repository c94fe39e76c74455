"""`SharedState`: numbers that the workers of one service share, in a nameless file that each maps.

Every number has one process that writes it, so that nothing needs an atomic addition; 8 bytes are written
at once. A worker that dies leaves its numbers behind and the next one in its place goes on from there. Why
not ask the database who wrote: this costs less than a microsecond, and is the same for every store.
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

COMMITS, READ, APPLIED, SERVING, ASKED, OPEN, LOCKED, UNMARKED = range(8)
"""Commits so far; number of the last change read and of the last applied; whether requests are answered;
when the last one was (monotonic milliseconds, one clock for the whole machine); open connections; whether
an API key was seen; whether the store is taken though it could not be marked as taken, because nothing can be
written."""
FIELDS = 8
REPORT = 1 << 17
"""Bytes for what a worker tells about a shop for `/metrics`."""
PAUSE = 0.005
WAIT_SECONDS = 60.0
"""A change that not every worker has taken in after this time is answered with 503; it is kept."""


class SharedState:
    """All shops, all workers."""

    def __init__(self, fd: int, shops: Sequence[str], workers: int) -> None:
        """`fd`: of the file, inherited; `shops`: the same names in the same order everywhere."""
        self.fd, self.shops, self.workers = fd, list(shops), workers
        self._map = mmap.mmap(fd, _numbers(len(self.shops), workers))
        self.numbers = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, shops: Sequence[str], workers: int) -> SharedState:
        """A new one; it is gone when the last process that has it open ends, however that ends."""
        try:
            import fcntl  # noqa: F401
        except ImportError:
            raise ConfigError("--workers: several workers need Linux or macOS; start with one") from None
        with tempfile.TemporaryFile() as file:
            file.truncate(_numbers(len(shops), workers) + len(shops) * workers * REPORT)
            return cls(os.dup(file.fileno()), shops, workers)

    def seat(self, shop: str, worker: int) -> WorkerSlot:
        """The place of one shop in one worker."""
        return WorkerSlot(self, self.shops.index(shop), worker)

    def unmarked(self, shop: str) -> None:
        """Said before any worker is there."""
        for worker in range(self.workers):
            self.seat(shop, worker).put(UNMARKED, 1)

    def left(self, worker: int) -> None:
        """A worker is gone: nobody waits for it, and all look at what it may have written at last."""
        for shop in range(len(self.shops)):
            at = (shop * self.workers + worker) * FIELDS
            self.numbers[at + SERVING] = 0
            self.numbers[at + COMMITS] += 1

    def crowded(self, worker: int, connections: int) -> bool:
        """Whether another worker has fewer; says how many this one has."""
        self.numbers[worker * FIELDS + OPEN] = connections
        others = (n * FIELDS for n in range(self.workers) if n != worker)
        return any(self.numbers[at + SERVING] and self.numbers[at + OPEN] < connections for at in others)

    def lock(self, worker: int) -> None:
        """This worker saw an API key: from now on none answers without one, nor do those started later."""
        self.numbers[worker * FIELDS + LOCKED] = 1

    @property
    def locked(self) -> bool:
        """Whether any worker saw an API key."""
        return any(self.numbers[worker * FIELDS + LOCKED] for worker in range(self.workers))

    def close(self) -> None:
        """Lets go of it."""
        self.numbers.release()
        self._map.close()
        os.close(self.fd)


class WorkerSlot:
    """One shop in one worker: its own numbers, and a look at those of the others."""

    def __init__(self, board: SharedState, shop: int, worker: int) -> None:
        self.board, self.worker, self._shop = board, worker, shop
        first = shop * board.workers
        self._numbers = board.numbers[first * FIELDS : (first + board.workers) * FIELDS]
        self._own = worker * FIELDS

    def get(self, field: int) -> int:
        """A number of this worker."""
        return self._numbers[self._own + field]

    def put(self, field: int, value: int) -> None:
        """Sets a number of this worker."""
        self._numbers[self._own + field] = value

    def committed(self) -> None:
        """This worker wrote something: the others look at it before their next answer."""
        self._numbers[self._own + COMMITS] += 1

    @property
    def commits(self) -> int:
        """Of all workers together; grows with every commit."""
        return sum(self._numbers[COMMITS::FIELDS])

    def asked(self) -> None:
        """This worker answers a request."""
        self._numbers[self._own + ASKED] = int(time.monotonic() * 1000)

    @property
    def calm(self) -> float:
        """Seconds since any worker answered a request."""
        return time.monotonic() - max(self._numbers[ASKED::FIELDS]) / 1000

    async def everywhere(self, field: int, value: int) -> None:
        """Waits until every worker that serves has come so far; `StoreError` if one does not."""
        end = time.monotonic() + WAIT_SECONDS
        while late := [worker for worker in range(self.board.workers) if not self._has(worker, field, value)]:
            if time.monotonic() > end:
                raise StoreError(f"this is kept, but worker {late[0]} does not follow: ask again in a moment")
            await asyncio.sleep(PAUSE)

    def _has(self, worker: int, field: int, value: int) -> bool:
        at = worker * FIELDS
        return not self._numbers[at + SERVING] or self._numbers[at + field] >= value

    # Locks of the operating system: a process that dies lets go of them.

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One worker writes to the store at a time. Who waits is woken at once, where SQLite would sleep."""
        import fcntl

        # With several shops the system may see a circle of waiting processes where threads stand in none.
        # The database has locks of its own, so going on without this one is only slower.
        with suppress(OSError):
            fcntl.lockf(self.board.fd, fcntl.LOCK_EX, 1, 2 * self._shop)
        try:
            yield
        finally:
            fcntl.lockf(self.board.fd, fcntl.LOCK_UN, 1, 2 * self._shop)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """One worker changes catalogue, model or experiments at a time."""
        import fcntl

        while True:
            try:
                fcntl.lockf(self.board.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * self._shop + 1)
                break
            except OSError:
                await asyncio.sleep(PAUSE)
        try:
            yield
        finally:
            fcntl.lockf(self.board.fd, fcntl.LOCK_UN, 1, 2 * self._shop + 1)

    # Reports

    def report(self, what: Any) -> None:
        """Puts down what other workers show for this one."""
        text = json.dumps(what).encode()
        if len(text) + 8 <= REPORT:
            head = len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little")
            os.pwrite(self.board.fd, head + text, self._place(self.worker))

    def reports(self) -> Iterator[tuple[int, Any]]:
        """What the other workers put down, by their numbers; not of one that is just writing."""
        for worker in range(self.board.workers):
            if worker == self.worker:
                continue
            found = os.pread(self.board.fd, REPORT, self._place(worker))
            text = found[8 : 8 + int.from_bytes(found[:4], "little")]
            if text and zlib.crc32(text).to_bytes(4, "little") == found[4:8]:
                yield worker, json.loads(text)

    def _place(self, worker: int) -> int:
        board = self.board
        numbers = _numbers(len(board.shops), board.workers)
        return numbers + (self._shop * board.workers + worker) * REPORT


def _numbers(shops: int, workers: int) -> int:
    """Bytes of the part that is mapped, in whole pages."""
    page = mmap.ALLOCATIONGRANULARITY
    return -(-shops * workers * FIELDS * 8 // page) * page
