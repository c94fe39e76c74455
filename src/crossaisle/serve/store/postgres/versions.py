"""The version of a PostgreSQL store: the table `store_version`, a row for each migration applied."""

from __future__ import annotations

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.migrations.apply import Recorded
from crossaisle.serve.store.migrations.migration import Dialect

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'store_version'
"""
_TABLE = "CREATE TABLE IF NOT EXISTS store_version (version BIGINT NOT NULL)"
_ADDED = (
    "ALTER TABLE store_version ADD COLUMN IF NOT EXISTS applied DOUBLE PRECISION",
    "ALTER TABLE store_version ADD COLUMN IF NOT EXISTS crossaisle TEXT",
)


class PostgresVersions:
    """Reads and writes the version of one schema."""

    dialect: Dialect = "postgres"

    def __init__(self, lock: int) -> None:
        """`lock`: number of the advisory lock that is held while migrating."""
        self._lock = lock

    def read(self, connection: SqlConnection) -> Recorded:
        """From the table, in whatever form it is."""
        columns = {row[0] for row in connection.execute(_COLUMNS)}
        if not columns:
            return Recorded(0, complete=False)
        complete = "crossaisle" in columns
        crossaisle = "coalesce(crossaisle, '')" if complete else "''"
        query = f"SELECT version, {crossaisle} FROM store_version ORDER BY version DESC LIMIT 1"
        version, crossaisle = connection.execute(query).fetchone() or (0, "")
        return Recorded(int(version), crossaisle, complete)

    def begin(self, connection: SqlConnection) -> None:
        """Waits for the lock; afterwards sees what its last holder committed."""
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute(f"SELECT pg_advisory_xact_lock({self._lock})")
        connection.execute(_TABLE)
        for statement in _ADDED:
            connection.execute(statement)

    def reached(self, connection: SqlConnection, version: int) -> None:
        """It is kept nowhere else."""
