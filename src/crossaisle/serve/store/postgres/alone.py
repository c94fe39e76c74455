"""`Alone`: what only one process of all hosts does at a time, held by an advisory lock of a session."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection

_KEY = "(?, hashtext(current_schema() || '/' || ?))"
_HOLDER = """
SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid = ?::oid AND l.objid = (hashtext(current_schema() || '/' || ?)::bigint & 4294967295)::oid
"""


class Alone:
    """A lock with a name. It goes with its session: whoever holds it and dies frees it."""

    def __init__(
        self,
        store: str,
        what: str,
        connect: Callable[[], SqlConnection],
        errors: tuple[type[Exception], ...],
        number: int,
    ) -> None:
        """`connect`: opens a session whose name others see. `number`: of such locks."""
        self._store, self._what, self._connect = store, what, connect
        self._errors, self._number = errors, number
        self._connection: SqlConnection | None = None

    def taken(self) -> bool:
        """Tries to take it; `StoreError` where the database does not answer."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            query = f"SELECT pg_try_advisory_lock{_KEY}"
            return bool(self._connection.execute(query, (self._number, self._what)).fetchone()[0])
        except self._errors as error:
            self.close()
            raise StoreError(f"{self._store}: the database does not answer: try again in a moment") from error

    def holder(self) -> str:
        """Who has it, for people."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            found = self._connection.execute(_HOLDER, (self._number, self._what)).fetchone()
        except self._errors:
            found = None
        return "another process" if found is None else str(found[0]).removeprefix("crossaisle: ")

    def close(self) -> None:
        """Frees it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):
                connection.close()
