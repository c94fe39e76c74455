"""`Store`: events, changed items, users, keys and the audit log, in SQLite or PostgreSQL.

What is acknowledged is on the disk of the database; an event whose key is known is not counted again. The
two engines keep the same promises: tests/serve/store/test_store_contract.py runs on both.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import ConflictError, StoreError, cleaned, shorten
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.deleted_users import Dated, Forgotten
from crossaisle.serve.store.deletions import Deleted, deletion, forget, withdraw
from crossaisle.serve.store.engine import Engine, Holding, SqlConnection, Trouble, WritingTurn
from crossaisle.serve.store.events import conflict
from crossaisle.serve.store.following.change_log import ChangeLog, Deed, audit, emptied
from crossaisle.serve.store.meta import mark_unclean, people_key
from crossaisle.serve.store.packed.packing import Packing
from crossaisle.serve.store.packed.writing import empty
from crossaisle.serve.store.reader import StoreReader
from crossaisle.serve.store.records import Event, Picture
from crossaisle.serve.store.tasks import Kept
from crossaisle.serve.store.writer import Busy, Unreachable, Writer

__all__ = ["Busy", "Deed", "Event", "Kept", "Picture", "Store", "Unreachable", "audit"]
T = TypeVar("T")
PROCESS = secrets.token_hex(4)
"""Tells this process from others: two shops of it must not serve from one store."""
NO_PICTURES: Mapping[str, Any] = MappingProxyType({})


def engine_for(place: str | Path, limits: StoreLimits) -> Engine:
    """PostgreSQL for a URL, SQLite for a path."""
    from crossaisle.serve.store.postgres.engine import SCHEMES, PostgresEngine
    from crossaisle.serve.store.sqlite.engine import SqliteEngine

    scheme, separator, _ = str(place).partition("://")
    if not separator:
        return SqliteEngine(place, limits)
    if scheme not in SCHEMES:
        raise StoreError(f"{scheme}://: a store is a file or a URL that starts with postgresql://")
    return PostgresEngine(str(place), limits)


def takes_hosts(place: str | Path) -> bool:
    """Whether services of several hosts may serve from a store."""
    return "://" in str(place) and os.name == "posix"


class Store(StoreReader):
    """One writer thread, many readers. Processes that serve from the same store take turns to write."""

    def __init__(
        self,
        place: str | Path,
        slot: WritingTurn | None = None,
        *,
        run: str = "",
        serving: bool = False,
        limits: StoreLimits = StoreLimits(),
    ) -> None:
        """`place`: a file for SQLite, or `postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME`. `slot`: of
        this process, where others serve from the same store; then changes are logged for them. `serving`:
        takes the store for this service alone, until it is closed. `run`: of a service of several processes,
        whose first one has taken the store.

        Raises `StoreError` where it cannot be opened, or is served already.
        """
        super().__init__(engine_for(place, limits), limits)
        self._logs = slot is not None or self.engine.several_hosts
        self.changes = ChangeLog(self.name)
        self._holding: Holding | None = None
        self._examining: threading.Thread | None = None
        self._ending = threading.Event()
        self._packing = Packing(self.name, self.reading, self.submit, limits.packed_events)
        try:
            if serving:
                self._holding = self.engine.hold(run or PROCESS)
                run = run or secrets.token_hex(8)
            self.writer = Writer(self.engine, slot, run=run, serving=serving)
            try:
                with self.engine.reading() as connection:
                    self._people = Forgotten(people_key(connection))
            except BaseException:
                self.writer.close()
                raise
        except BaseException as error:
            if self._holding is not None:
                self._holding.close()
            if not isinstance(error, self.engine.errors):
                raise
            trouble = self.engine.trouble(error)
            said = cleaned(error, str(self.path)) if trouble is None else trouble.reason
            raise StoreError(f"{self.name}: the store cannot be opened ({said})") from error
        if self._holding is not None and self._holding.alone:
            # What a service that was killed left; nobody reads it any more.
            with suppress(StoreError):
                self.submit(emptied).add_done_callback(partial(self._share, self._holding))
        if serving and self.marked:
            self._packing.catch_up()
        if run:
            self._examining = threading.Thread(target=self._examine, name="examining", daemon=True)
            self._examining.start()

    def _share(self, holding: Holding, emptied: Future[None]) -> None:
        """Lets other hosts in; not where nothing could be written."""
        if emptied.exception() is None and self.marked:
            holding.share()

    def _examine(self) -> None:
        """Looks for damage that nobody would notice otherwise until it is too late."""
        failures: tuple[type[Exception], ...] = (StoreError, *self.engine.errors)
        pause: float | None = 0.0
        while pause is not None and not self._ending.wait(pause):
            try:
                wrong, pause = self.engine.examine()
            except failures:  # who writes meets it, too
                pause = self.limits.examine_seconds
                continue
            if wrong:
                self.writer.failed(Trouble(wrong, lasting=True))

    @property
    def marked(self) -> bool:
        """Whether the store says that this run serves it; not where nothing could be written."""
        return self.writer.marked

    def handed_over(self) -> Holding:
        """Closes the store and returns what keeps it from other services."""
        holding, self._holding = self._holding, None
        assert holding is not None, "a store that is served"
        self.close()
        return holding

    # Writing

    def submit(self, work: Callable[[SqlConnection], T]) -> Future[T]:
        """Runs `work` in a transaction of the writer thread; done when it is on the disk.

        `work` may run more than once. Raises `Busy` at once when too many writes are waiting, and
        `Unreachable` while the database is.
        """
        return self.writer.submit(work)

    def add(self, events: Sequence[Event]) -> Future[Kept]:
        """Keeps events; returns those that were new (by key), in order, once they are on disk.

        Those that are no later than a deletion of their user are not kept. `ConflictError` where a key is
        known with other content: then none of these are kept.
        """
        kept = self.writer.put(self._put, events)
        kept.add_done_callback(self._packing.added)
        return kept

    def _put(self, connection: SqlConnection, events: Sequence[Event]) -> list[bool | None]:
        covered = self._people.covered(connection, events)
        if True not in covered:
            return [*self.engine.insert(connection, events)]
        rows = [row for row, gone in enumerate(covered) if not gone]
        try:
            fresh = iter(self.engine.insert(connection, [events[row] for row in rows]))
        except ConflictError as error:
            raise conflict(events, [rows[row] for row in error.rows]) from None
        return [None if gone else next(fresh) for gone in covered]

    def late(self) -> list[Event]:
        """Events that are in the store although their sender was told to try again; each is returned once."""
        found: list[Event] = []
        while self.writer.late:
            found += self.writer.late.popleft()
        return found

    def put_items(
        self,
        bodies: dict[str, dict[str, Any]],
        pictures: Mapping[str, Picture | None] = NO_PICTURES,
        deed: Deed | None = None,
    ) -> Future[None]:
        """Keeps what differs from the model's catalogue, by item id. `pictures`: None where one goes.
        `deed`: what the audit log says of it.
        """
        rows = [(name, json.dumps(body, ensure_ascii=False)) for name, body in bodies.items()]
        gone = [(name,) for name, one in pictures.items() if one is None]
        seen = [
            (name, one.digest, one.address, one.fingerprint, one.vector.tobytes(), one.content)
            for name, one in pictures.items()
            if one is not None
        ]

        def work(connection: SqlConnection) -> None:
            if rows:
                connection.executemany(_PUT.format("items"), rows)
            if gone:
                connection.executemany("DELETE FROM pictures WHERE id = ?", gone)
            if seen:
                connection.executemany(_SEEN, seen)
            self.log_changes(connection, "item", bodies)
            audit(connection, deed)

        return self.submit(work)

    def put_user(
        self, user: str, attributes: dict[str, Any], *, deleted: float | None = None
    ) -> Future[None]:
        """Keeps the attributes of a user. `deleted`: `deleted_at` when they were sent.

        `ConflictError` if the user was deleted since: what waits to be written must not outlive that.
        """
        digest = self.digest_of(user)

        def work(connection: SqlConnection) -> None:
            if deletion(connection, digest) != deleted:
                raise ConflictError(
                    f"user {shorten(user)} was deleted while this waited to be written: nothing was kept"
                )
            body = json.dumps(attributes, ensure_ascii=False)
            connection.execute(_PUT.format("users"), (user, body))

        return self.submit(work)

    def forget(self, user: str, who: str = "") -> Future[Deleted]:
        """Deletes everything about a user and remembers, as a digest, when that was.

        `who`: for the audit log, of which this is one transaction with the deletion.
        """
        digest = self.digest_of(user)

        def work(connection: SqlConnection) -> Deleted:
            gone = forget(connection, user, digest)
            self.log_changes(connection, "forgotten", [digest.hex()], repr(gone.time))
            audit(connection, (who, f"deleted person {digest.hex()[:16]}, {gone.events} events"))
            return gone

        return self.submit(work)

    def withdraw(self, key: str, who: str = "") -> Future[Event | None]:
        """Deletes the event that was sent with a key; returns it, or None where there is none.

        `who`: for the audit log.
        """

        def work(connection: SqlConnection) -> Event | None:
            event = withdraw(connection, key)
            if event is None:
                return None
            digest = self.digest_of(event.user).hex()
            # The log of changes outlives the event: it says nothing of it but to whoever has it in memory.
            body = json.dumps([digest, self.mark_of(event)])
            self.log_changes(connection, "withdrawn", [self.digest_of(key).hex()], body)
            audit(connection, (who, f"deleted an event of person {digest[:16]}"))
            return event

        return self.submit(work)

    def mark_of(self, event: Event) -> str:
        """A keyed digest by which whoever has an event in memory knows it again after it was deleted."""
        sizes = [None if one is None else float(one) for one in (event.value, event.quantity)]
        day = event.time / SECONDS_PER_DAY  # as histories in memory keep it
        return self.mark_of_day(event.user, event.item, event.kind, day, *sizes)

    def mark_of_day(self, user: str, item: str, kind: str, day: float, *sizes: float | None) -> str:
        """The same from what a history in memory holds: days since 1970, value and quantity."""
        return self.digest_of(json.dumps([user, item, kind, day, *sizes])).hex()

    def forget_shown(self, user: str, before: float) -> Future[None]:
        """Deletes what was logged about a user by those who did not know yet."""

        def work(connection: SqlConnection) -> None:
            query = 'DELETE FROM exposures WHERE "user" = ? AND time <= ?'
            if connection.execute(query, (user, before)).rowcount:
                mark_unclean(connection)

        return self.submit(work)

    def clean(self) -> Future[bool]:
        """Has no file hold anything of what was deleted before: true once that is so, and false where it
        takes longer, or where the files are those of a database server.
        """
        return self.writer.clean()

    def digest_of(self, user: str) -> bytes:
        """What is kept of a user who was deleted."""
        return self._people.digest(user)

    def covered(self, connection: SqlConnection, several: Sequence[Dated]) -> list[bool]:
        """Within a transaction: which of these a deletion of their user covers."""
        return self._people.covered(connection, several)

    def log_changes(self, connection: SqlConnection, what: str, names: Iterable[str], body: str = "") -> None:
        """Within a transaction: what other workers and hosts must take in. See `ChangeLog.add`."""
        if self._logs:
            self.changes.add(connection, what, names, body)

    def put_active(self, body: dict[str, str], deed: Deed | None = None) -> Future[None]:
        """Tells the other workers which model to serve, and the audit log who chose it."""

        def work(connection: SqlConnection) -> None:
            self.log_changes(connection, "model", [""], json.dumps(body))
            audit(connection, deed)

        return self.submit(work)

    def put_wanted(self, body: str) -> Future[None]:
        """Asks the other hosts to keep a model ready."""
        return self.submit(lambda connection: self.log_changes(connection, "wanted", [""], body))

    def begin_with(self, run: str, body: dict[str, str]) -> Future[str]:
        """The model that all hosts of a run serve, as it is logged: `body`, where this is the first."""

        def work(connection: SqlConnection) -> str:
            found = connection.execute("SELECT body FROM changes WHERE what = 'model'").fetchone()
            if found is not None and json.loads(found[0]).get("run") == run:
                return str(found[0])
            said = json.dumps({"run": run, **body})
            self.log_changes(connection, "model", [""], said)
            return said

        return self.submit(work)

    def put_rules(self, body: str | None, deed: Deed | None = None) -> Future[None]:
        """Keeps a merchandiser's rules as JSON; None: the shop has none of its own any more. `deed`: what the
        audit log says of it.
        """

        def work(connection: SqlConnection) -> None:
            if body is None:
                connection.execute("DELETE FROM rules")
            else:
                connection.execute(_PUT.format("rules"), ("", body))
            self.log_changes(connection, "rules", [""])
            audit(connection, deed)

        return self.submit(work)

    def note(self, when: float, who: str, what: str) -> Future[None]:
        """One line of the audit log, of something that is not in the store."""
        return self.submit(lambda connection: audit(connection, (who, what), when))

    # Reading

    def _unreadable_packs(self) -> None:
        with suppress(StoreError):
            self.submit(empty)

    def _failed(self, error: Exception) -> None:
        self.writer.failed(error, reading=True)

    def deleted_at(self, user: str) -> float | None:
        """When a user was deleted last, in seconds since 1970; None for one who never was."""
        with self.reading() as connection:
            return deletion(connection, self.digest_of(user))

    def knows(self, user: str) -> bool:
        """Whether anything is kept about a user, be it only that they were deleted."""
        if self.user(user) is not None or any(self.counts_of(user)):
            return True
        return self.deleted_at(user) is not None

    @property
    def state(self) -> str:
        """`up`; `failing` while it takes no writes; `unreachable` while the database does not answer."""
        return self.writer.state

    @property
    def up(self) -> bool:
        """Whether it takes writes, as far as is known."""
        return self.state == "up"

    def close(self) -> None:
        """Waits for the writes that are under way."""
        self._ending.set()
        self._packing.close()
        self.engine.close()
        if self._examining is not None:
            self._examining.join()
        self.writer.close()
        if self._holding is not None:
            self._holding.close()
            self._holding = None


_PUT = "INSERT INTO {} (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_SEEN = """
INSERT INTO pictures (id, digest, address, fingerprint, vector, content) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, address = excluded.address,
fingerprint = excluded.fingerprint, vector = excluded.vector, content = excluded.content
"""
