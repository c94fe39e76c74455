"""`SessionHolding`: the right to serve from a store, held by a lock of a database session.

The first service takes the lock alone, marks the store, and then shares it: services of other hosts join it
under the same mark. A service of a crossaisle that knows nothing of other hosts takes the lock alone and
keeps it. The lock goes with the session. It is taken again as soon as the database is back; a service that
was the first again meanwhile has marked the store anew, and the writer notices that (`Engine.settled`).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.postgres.ending import ended
from crossaisle.serve.store.sqlite.file_lock import LOOK_SECONDS, refusal

_LOG = logging.getLogger(__name__)
PULSE = 1.0
"""Seconds between two checks that the session is there."""
START_SECONDS = 30.0
"""Seconds more to wait for a first service that makes tables and marks the store."""
_ITS = "(?, hashtext(current_schema()))"
_HOLDERS = """
SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid = ?::oid AND l.objid = (hashtext(current_schema())::bigint & 4294967295)::oid
AND l.pid <> pg_backend_pid()
"""
_TRY, _TRY_SHARED = f"SELECT pg_try_advisory_lock{_ITS}", f"SELECT pg_try_advisory_lock_shared{_ITS}"


class SessionHolding:
    """An advisory lock for database and schema, in a session of its own."""

    fd: int | None = None

    def __init__(
        self,
        name: str,
        connect: Callable[[str], SqlConnection],
        errors: tuple[type[Exception], ...],
        number: int,
        seconds: float,
        *,
        host: str,
        several: bool,
    ) -> None:
        """`connect`: opens a session with a name that others see. `number`: of the lock. `seconds`: to wait
        where another service has it for itself; then `StoreError`. `host`: tells services apart: one of them
        serves from a store once. `several`: whether other hosts may share it. An error of the database where
        there is none.
        """
        self._name, self._connect, self._errors, self._number = name, connect, errors, number
        self._host, self._several = host, several
        self._failures: tuple[type[Exception], ...] = (StoreError, *errors)
        self.alone = True
        """Whether this service is the first: nobody else serves from the store."""
        self._connection: SqlConnection | None = None
        self._connection = self._taken(seconds)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="holding", daemon=True)
        self._thread.start()

    def share(self) -> None:
        """Lets services of other hosts in, now that the store is marked."""
        if not self._several:
            return
        self.alone, connection = False, self._connection
        if connection is None:
            return
        with suppress(*self._errors):  # a lost session is opened again, then for a shared lock
            connection.execute(f"SELECT pg_advisory_lock_shared{_ITS}", (self._number,))
            connection.execute(f"SELECT pg_advisory_unlock{_ITS}", (self._number,))

    def close(self) -> None:
        """Ends the session, also where the database does not answer."""
        self._end.set()
        ended(self._thread, lambda: self._connection, self._errors, self._name)
        self._drop()

    def _taken(self, patience: float) -> SqlConnection:
        mine = f"crossaisle {self._host}: "
        connection = self._connect(f"{mine}process {os.getpid()} on {socket.gethostname()}")
        end = time.monotonic() + patience
        try:
            while True:
                if self.alone and connection.execute(_TRY, (self._number,)).fetchone()[0]:
                    return connection
                shared = self._several and connection.execute(_TRY_SHARED, (self._number,)).fetchone()[0]
                holders = [row[0] for row in connection.execute(_HOLDERS, (self._number,))]
                if shared and not any(holder.startswith(mine) for holder in holders):
                    self.alone = False
                    return connection
                # One that has just begun shares the lock as soon as the store is marked.
                starts = any(h.startswith("crossaisle ") and not h.startswith(mine) for h in holders)
                if shared or time.monotonic() > end + (START_SECONDS if starts and patience else 0.0):
                    holder = holders[0].partition(": ")[2] if holders else ""
                    raise StoreError(refusal(self._name, holder))
                time.sleep(LOOK_SECONDS)
        except BaseException:
            connection.close()
            raise

    def _keep(self) -> None:
        while not self._end.wait(PULSE):
            try:
                if self._connection is None:
                    self._connection = self._taken(0.0)
                self._connection.execute("SELECT 1").fetchall()
            except self._failures as error:
                # Whether the database is there, the writer says.
                _LOG.debug("%s: is not held at the moment: %s", self._name, error)
                self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):
                connection.close()
