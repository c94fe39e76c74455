"""Migrates stores, each in a process that is killed with SIGKILL before a statement: the 1st, the 4th, ...

Run by test_earlier_versions.py with the stores as arguments; says how many processes were killed.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.migrations.apply import migrate
from crossaisle.serve.store.postgres.engine import LOCK, PostgresEngine
from crossaisle.serve.store.postgres.versions import PostgresVersions
from crossaisle.serve.store.sqlite.versions import SqliteVersions

STEP = 3
"""Statements between two kills."""


class Mortal:
    """A connection whose process is killed before its n-th statement."""

    def __init__(self, connection: SqlConnection, n: int) -> None:
        self._connection, self._left = connection, n

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        self._count()
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        self._count()
        return self._connection.executemany(sql, parameters)

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        self._connection.close()


def migrated(place: str, n: int) -> None:
    if "://" in place:
        postgres = PostgresEngine(place)
        migrate(Mortal(postgres.open(), n), PostgresVersions(LOCK), place)
    else:
        connection = sqlite3.connect(place, isolation_level=None)
        migrate(Mortal(connection, n), SqliteVersions(), place)


def main(places: Sequence[str]) -> int:
    killed = 0
    for n, place in enumerate(places):
        child = os.fork()
        if not child:
            migrated(place, 1 + STEP * n)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
    return killed


if __name__ == "__main__":
    print(main(sys.argv[1:]))
