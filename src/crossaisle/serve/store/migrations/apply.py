"""Brings a store up to date when it is opened, and refuses one that a newer crossaisle has written.

Each migration is one transaction that ends by recording its number: a process that is killed leaves a store
of some version, and the next one continues from there. If two open a store at once, one waits for the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from crossaisle import __version__
from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.migrations.m0001_tables import TABLES
from crossaisle.serve.store.migrations.m0002_deletions import DELETIONS
from crossaisle.serve.store.migrations.m0003_rules import RULES
from crossaisle.serve.store.migrations.m0004_hosts import HOSTS
from crossaisle.serve.store.migrations.m0005_packed import PACKED
from crossaisle.serve.store.migrations.migration import Dialect, Migration
from crossaisle.serve.store.schema import VERSION

MIGRATIONS: Sequence[Migration] = (TABLES, DELETIONS, RULES, HOSTS, PACKED)
"""In order of their versions 1, 2, 3, ... A migration that has been released is never changed."""
_RECORD = "INSERT INTO store_version (version, applied, crossaisle) VALUES (?, ?, ?)"


class Recorded(NamedTuple):
    """What a store says of its own version."""

    version: int
    """0 for a new store."""
    crossaisle: str = ""
    """Version of the crossaisle that brought it there; "" where that was not recorded yet."""
    complete: bool = True
    """Whether the record itself has today's form."""


class VersionTable(Protocol):
    """The table `store_version` of an engine: number, time and crossaisle of each migration applied."""

    dialect: Dialect

    def read(self, connection: SqlConnection) -> Recorded:
        """Changes nothing; may run outside of a transaction."""
        ...

    def begin(self, connection: SqlConnection) -> None:
        """Begins a transaction that only one process can be in, and makes the table if need be."""
        ...

    def reached(self, connection: SqlConnection, version: int) -> None:
        """Within the transaction of a migration: writes the version wherever else it is kept."""
        ...


def up_to_date(connection: SqlConnection, table: VersionTable, name: str) -> bool:
    """Whether a store needs no migration; nothing is written. `StoreError` for one of a newer version."""
    recorded = table.read(connection)
    _refuse_newer(recorded, name)
    return recorded.version == VERSION and recorded.complete


def migrate(connection: SqlConnection, table: VersionTable, name: str) -> int:
    """Applies the missing migrations, one transaction each, and returns how many there were.

    `name`: of the store, for errors. Raises `StoreError` for a store of a newer version. Close the connection
    if this raises anything: a transaction may be open.
    """
    applied = 0
    while True:
        table.begin(connection)
        recorded = table.read(connection)
        _refuse_newer(recorded, name)
        if recorded.version == VERSION:
            connection.execute("COMMIT")
            return applied
        migration = MIGRATIONS[recorded.version]
        migration.apply(connection, table.dialect)
        connection.execute(_RECORD, (migration.version, time.time(), __version__))
        table.reached(connection, migration.version)
        connection.execute("COMMIT")
        applied += 1


def _refuse_newer(recorded: Recorded, name: str) -> None:
    if recorded.version <= VERSION:
        return
    least = f" to {recorded.crossaisle} or later" if recorded.crossaisle else ""
    raise StoreError(
        f"{name}: written by a newer crossaisle (store version {recorded.version}): update this one{least} "
        f"(it is {__version__}, which knows versions up to {VERSION}), or serve from an older backup"
    )
