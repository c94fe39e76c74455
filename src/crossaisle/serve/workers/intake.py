"""`Intake`: events and deletions of users go to the store first, then to the memory of every worker."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from crossaisle.errors import UnknownIdError, shorten
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.store.store import Event, Store
from crossaisle.serve.workers.memory import ShopMemory
from crossaisle.serve.workers.replication import Replica


class Added(NamedTuple):
    """Outcome of adding events."""

    accepted: int
    duplicates: int
    forgotten: int
    """Covered by a deletion of their user, and not kept."""


class Erased(NamedTuple):
    """Outcome of deleting a user."""

    events: int
    overwritten: bool
    """Whether no file of the store holds anything of what was deleted."""


class Intake:
    """What happens to users of one shop; what is acknowledged is on disk and counts in the next answer."""

    def __init__(
        self,
        store: Store,
        live: LiveHistories,
        memory: ShopMemory,
        counts: Counter[str],
        replica: Replica | None = None,
    ) -> None:
        """`counts`: where events are counted. `replica`: where other workers serve the shop, too."""
        self._store, self._live, self._memory = store, live, memory
        self._counts, self._replica = counts, replica

    async def add(self, events: Sequence[Event]) -> Added:
        """Keeps events and counts them; how many were new (by idempotency key).

        `ConflictError` where a key is known with other content: then none of them is kept.
        """
        # Shielded: a client that disconnects must not come between the disk and the memory.
        return await asyncio.shield(asyncio.ensure_future(self._add(events)))

    async def _add(self, events: Sequence[Event]) -> Added:
        kept = await asyncio.wrap_future(self._store.add(events))
        if self._replica is None:
            late = [event for event in self._store.late() if not self._live.forgotten.covers(event)]
            self._memory.count((*late, *kept.fresh))
        else:
            await self._replica.catch_up(written=True)  # in the order that all workers see
        fresh = len(kept.fresh)
        added = Added(fresh, len(events) - fresh - kept.forgotten, kept.forgotten)
        for name, n in zip(("events", "duplicate_events", "forgotten_events"), added, strict=True):
            self._counts[name] += n
        return added

    async def forget(self, user: str, actor: str) -> Erased:
        """Deletes everything about a user. `actor`: for the audit log."""
        return await asyncio.shield(asyncio.ensure_future(self._forget(user, actor)))

    async def _forget(self, user: str, actor: str) -> Erased:
        gone = await asyncio.wrap_future(self._store.forget(user, actor))
        if self._replica is None:
            self._memory.drop(self._store.digest_of(user), [user], gone.time)
        else:
            await self._replica.read_everywhere()
        # Lists that the user was shown before every worker knew.
        await asyncio.wrap_future(self._store.forget_shown(user, time.time()))
        return Erased(gone.events, await asyncio.wrap_future(self._store.clean()))

    async def withdraw(self, key: str, actor: str) -> Erased:
        """Deletes the event that was sent with a key. `actor`: for the audit log.

        Raises `UnknownIdError` where there is none.
        """
        return await asyncio.shield(asyncio.ensure_future(self._withdraw(key, actor)))

    async def _withdraw(self, key: str, actor: str) -> Erased:
        event = await asyncio.wrap_future(self._store.withdraw(key, actor))
        if event is None:
            raise UnknownIdError(f"no event was sent with the key {shorten(key)}: nothing was deleted")
        if self._replica is None:
            self._memory.withdraw([event.user], self._store.mark_of(event))
        else:
            await self._replica.read_everywhere()
        self._counts["deleted_events"] += 1
        return Erased(1, await asyncio.wrap_future(self._store.clean()))

    async def put_user(self, user: str, attributes: dict[str, Any], deleted: float | None) -> None:
        """Keeps the attributes of a user. `deleted`: `Store.deleted_at` when they came; `ConflictError` if
        the user was deleted since.
        """
        await asyncio.wrap_future(self._store.put_user(user, attributes, deleted=deleted))
