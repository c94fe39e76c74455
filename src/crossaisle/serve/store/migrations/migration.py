"""`Migration`: one step from a version of the store to the next, in both dialects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from crossaisle.serve.store.engine import SqlConnection

Dialect = Literal["sqlite", "postgres"]


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Runs within one transaction, which is undone where any of it fails."""

    version: int
    """That the store has afterwards."""
    sqlite: str
    """Statements, separated by `;`."""
    postgres: str
    """The same in PostgreSQL's words."""
    data: Callable[[SqlConnection], None] | None = None
    """Moves rows that statements alone cannot move; runs after the statements, on both engines."""

    def apply(self, connection: SqlConnection, dialect: Dialect) -> None:
        """Runs the statements of a dialect, then moves the rows."""
        for statement in (self.sqlite if dialect == "sqlite" else self.postgres).split(";"):
            if statement.strip():
                connection.execute(statement)
        if self.data is not None:
            self.data(connection)
