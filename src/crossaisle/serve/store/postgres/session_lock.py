"""`SessionHolding`: one service per store, held by a lock of a database session.

The lock goes with the session. It is taken again as soon as the database is back; a service that took it
meanwhile has marked the store, and the writer notices that (`Engine.settled`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.sqlite.file_lock import LOOK_SECONDS, described, refusal

_LOG = logging.getLogger(__name__)
PULSE = 1.0
"""Seconds between two checks that the session is there."""
_ITS = "(?, hashtext(current_schema()))"
_HOLDER = """
SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid = ?::oid AND l.objid = (hashtext(current_schema())::bigint & 4294967295)::oid
"""


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
    ) -> None:
        """`connect`: opens a session with a name that others see. `number`: of the lock. `seconds`: to wait
        where another service has it; then `StoreError`. An error of the database where there is none.
        """
        self._name, self._connect, self._errors, self._number = name, connect, errors, number
        self._failures: tuple[type[Exception], ...] = (StoreError, *errors)
        self._connection: SqlConnection | None = self._taken(seconds)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="holding", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the session."""
        self._end.set()
        self._thread.join()
        self._drop()

    def _taken(self, patience: float) -> SqlConnection:
        connection = self._connect(f"crossaisle: {described()}")
        end = time.monotonic() + patience
        try:
            while not connection.execute(f"SELECT pg_try_advisory_lock{_ITS}", (self._number,)).fetchone()[0]:
                if time.monotonic() > end:
                    found = connection.execute(_HOLDER, (self._number,)).fetchone()
                    holder = found[0].removeprefix("crossaisle: ") if found else ""
                    raise StoreError(refusal(self._name, holder))
                time.sleep(LOOK_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection

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
