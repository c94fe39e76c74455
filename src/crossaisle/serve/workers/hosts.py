"""`HostSlot`: a worker slot for services on several hosts that share a PostgreSQL store.

Workers of one host follow each other through shared memory (`shared_state.py`); hosts, through the database:
see `serve/store/postgres/membership.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from crossaisle.errors import StoreError
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.postgres.membership import Member, Membership
from crossaisle.serve.store.store import Busy, takes_hosts
from crossaisle.serve.workers.shared_state import APPLIED, READ, SERVING, SharedState, WorkerSlot

_FIELDS = {READ: "read", APPLIED: "applied", SERVING: "serving"}
CHANGING = "change"
"""What only one host does at a time: changes of catalogue, rules, model and experiments."""


class HostSlot:
    """One shop in one process: what `WorkerSlot` is among workers, among all processes of all hosts."""

    def __init__(self, local: WorkerSlot, engine: PostgresEngine, limits: WorkerLimits) -> None:
        """`local`: among the workers of this host."""
        self.local, self.shared, self.worker = local, local.shared, local.worker
        self._engine, self._limits = engine, limits
        self._members: Membership = engine.join(local.worker, limits)
        self._doubts, self._doubted_at = 0, 0.0
        self._leaving = False

    @property
    def place(self) -> int:
        """A number that no other process has."""
        return self._members.place

    def put(self, field: int, value: int) -> None:
        """Sets a number of this process."""
        self.local.put(field, value)
        if field in _FIELDS:
            self._members.publish(**{_FIELDS[field]: value})

    def say(self, model: str) -> None:
        """Has the others see what this process says of models, as JSON."""
        self._members.publish(model=model)

    async def published(self) -> None:
        """Once the others see what was put; what they wrote before that is read next. `StoreError`."""
        await asyncio.wrap_future(self._members.published())
        self._doubts += 1

    def writing(self) -> AbstractContextManager[None]:
        """One worker of this host at a time; among hosts, the database sees to that."""
        return self.local.writing()

    def committed(self) -> None:
        """The other workers of this host read it; other hosts hear of it from the database."""
        self.local.committed()

    @property
    def commits(self) -> int:
        """Commits that this process knows of; it may not have heard of some while it was away."""
        return self.local.commits + self._members.rings + self._doubts

    def asked(self) -> None:
        """This process answers a request: one that was away reads the log first."""
        self.local.asked()
        now, silent = time.monotonic(), self._limits.silent_seconds
        if self._members.silent_seconds > silent and now - self._doubted_at > silent:
            self._doubts, self._doubted_at = self._doubts + 1, now
        if self._members.lost_place and not self._leaving:
            self._leaving = True
            os.kill(os.getpid(), signal.SIGTERM)  # another process writes what this one would

    @property
    def idle_seconds(self) -> float:
        """Seconds since any worker of this host answered a request."""
        return self.local.idle_seconds

    async def members(self) -> list[Member]:
        """All that serve or are about to, this one included; `StoreError`."""
        return await asyncio.wrap_future(self._members.live())

    async def everywhere(self, field: int, value: int) -> None:
        """Waits until every process that serves has reached `value`; `StoreError` if one does not."""
        await self.local.everywhere(field, value)
        end = time.monotonic() + self._limits.follow_seconds
        while late := [
            one.name
            for one in await self.members()
            if one.serving and getattr(one, _FIELDS[field]) < value and one.host != self._engine.host
        ]:
            if time.monotonic() > end:
                raise StoreError(f"stored, but {late[0]} has not applied it yet: try again soon")
            await asyncio.sleep(self._limits.wait_seconds)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """One process of all changes catalogue, model or experiments at a time."""
        end = time.monotonic() + self._limits.follow_seconds
        turn = self._engine.alone(CHANGING)
        async with self.local.changing():
            try:
                while not await asyncio.to_thread(turn.taken):
                    if time.monotonic() > end:
                        who = await asyncio.to_thread(turn.holder)
                        raise Busy(f"{who} is changing something: try again in a moment")
                    await asyncio.sleep(self._limits.wait_seconds)
                self._doubts += 1  # whoever had it last may have written what this process has not heard of
                yield
            finally:
                await asyncio.shield(asyncio.to_thread(turn.close))

    def report(self, what: Any) -> None:
        """Publishes what other workers of this host show in `/metrics`."""
        self.local.report(what)

    def reports(self) -> Iterator[tuple[int, Any]]:
        """What the other workers of this host published."""
        return self.local.reports()

    def close(self) -> None:
        """Leaves."""
        self._members.close()


def own_slot(place: str | Path, limits: WorkerLimits, shop: str = "") -> WorkerSlot | None:
    """The slot of the only worker of a host, where the store takes several hosts; else None."""
    if not takes_hosts(place):
        return None
    return SharedState.create([shop], 1, limits=limits).slot(shop, 0)
