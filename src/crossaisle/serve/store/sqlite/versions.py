"""The version of a SQLite store: the table `store_version`, and `PRAGMA user_version`, which says the same.

A file rebuilt with `.dump` has lost the pragma; an older one has no such table yet.
"""

from __future__ import annotations

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.migrations.apply import Recorded
from crossaisle.serve.store.migrations.migration import Dialect
from crossaisle.serve.store.schema import CORE
from crossaisle.serve.store.sqlite.store_file import APPLICATION, NAMES, names_of

_TABLE = """
CREATE TABLE IF NOT EXISTS store_version (version INTEGER PRIMARY KEY, applied REAL, crossaisle TEXT) STRICT
"""
_ADOPT = "INSERT INTO store_version (version) VALUES (?)"


class SqliteVersions:
    """Reads and writes the version of one file."""

    dialect: Dialect = "sqlite"

    def read(self, connection: SqlConnection) -> Recorded:
        """From the table, the pragma or the tables that are there."""
        (named,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        names = names_of(connection)
        if "store_version" not in names:
            return Recorded(named or _of_tables(names), complete=False)
        query = "SELECT version, coalesce(crossaisle, '') FROM store_version ORDER BY version DESC LIMIT 1"
        version, crossaisle = connection.execute(query).fetchone() or (0, "")
        complete = named == version and application == APPLICATION and names >= NAMES
        return Recorded(named, "", complete) if named > version else Recorded(version, crossaisle, complete)

    def begin(self, connection: SqlConnection) -> None:
        """Waits while another process writes."""
        connection.execute("BEGIN IMMEDIATE")
        recorded = self.read(connection)
        connection.execute(_TABLE)
        known = connection.execute("SELECT coalesce(max(version), 0) FROM store_version").fetchone()[0]
        for version in range(known + 1, recorded.version + 1):  # nobody wrote down when
            connection.execute(_ADOPT, (version,))
        self.reached(connection, recorded.version)

    def reached(self, connection: SqlConnection, version: int) -> None:
        """In the head of the file, where older versions look for it."""
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={version}")


def _of_tables(names: set[str]) -> int:
    return 3 if "rules" in names else 2 if "meta" in names else 1 if names >= CORE else 0
