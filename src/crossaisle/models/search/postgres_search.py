"""`PostgresRows`: `NearestRows` in PostgreSQL with pgvector, for vectors that do not fit on one machine.

Vectors are half-precision numbers in a table, with a graph of neighbours (HNSW) to walk along: Malkov and
Yashunin, IEEE TPAMI 2020. A search within categories goes on along the graph until it has found enough of
them (iterative scans of pgvector 0.8); where they have few rows, all of these are compared, exactly.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, MissingDependencyError, StoreError, cleaned
from crossaisle.models.topk import Mask

if TYPE_CHECKING:
    import psycopg

NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")
LEAST = (0, 8)
"""Version of pgvector: the first with iterative scans."""
SPREAD = 4
"""Times as many rows as are wanted are read first, where a filter is no union of categories."""


@dataclass
class PostgresRows:
    """A table with one row per item: its number, its category and its vector."""

    url: str
    """`postgresql://USER:PASSWORD@HOST/DATABASE`."""
    name: str
    """Of the table."""
    categories: npt.NDArray[np.int32]
    """int32 (n,): what rows may be filtered by without leaving the graph."""
    _: KW_ONLY
    ef_search: int = 160
    """Candidates that a search keeps in view: more find more of the best and take longer."""
    max_scan_tuples: int = 20_000
    """Rows that a filtered search looks at before it gives up."""
    few: int = 20_000
    """Rows of a filter up to which all are compared, exactly: they lie together in the table."""
    _connection: Any = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    """A search sets what it needs on the one connection: threads take turns."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"table {self.name!r}: a name is 1 to 41 small letters, digits and underscores")

    @classmethod
    def of(
        cls,
        url: str,
        name: str,
        vectors: Floats,
        categories: npt.NDArray[np.int32],
        *,
        m: int = 16,
        ef_construction: int = 128,
        memory_mb: int = 512,
        **settings: Any,
    ) -> PostgresRows:
        """Writes a table anew, in one transaction, from a float32 matrix (n, d) and categories int32 (n,).

        `m`, `ef_construction`: of the graph: neighbours of a row, and candidates for them. `memory_mb`: for
        building it; the graph is built several times faster where it fits. Raises `ConfigError` for a name
        that is none and for a database without pgvector, `StoreError` where it does not answer.
        """
        rows = cls(url, name, np.asarray(categories, np.int32), **settings)
        with rows._answering() as connection, connection.transaction():
            connection.execute(f"SET LOCAL maintenance_work_mem = '{memory_mb:d}MB'".encode())
            connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
            layout = f"row INTEGER PRIMARY KEY, category INTEGER NOT NULL, vector halfvec({vectors.shape[1]})"
            connection.execute(f"CREATE TABLE {name} ({layout} NOT NULL)".encode())
            copying = f"COPY {name} FROM STDIN (FORMAT BINARY)".encode()
            with connection.cursor() as cursor, cursor.copy(copying) as copy:
                for part in _records(vectors, rows.categories):
                    copy.write(part)
            options = f"m = {m:d}, ef_construction = {ef_construction:d}"
            connection.execute(
                f"CREATE INDEX ON {name} USING hnsw (vector halfvec_ip_ops) WITH ({options})".encode()
            )
            connection.execute(f"CREATE INDEX ON {name} (category)".encode())
            connection.execute(f"ANALYZE {name}".encode())
        return rows

    def search(self, queries: Floats, k: int, among: Mask | None = None) -> Rows:
        """int32 (len(queries), k): rows by their products with float32 (b, d) queries, nearly the best first.

        `among` bool (n,): rows that come before all others.
        """
        n = len(self.categories)
        k = min(k, n)
        if not k or not len(queries):
            return np.empty((len(queries), k), np.int32)
        with self._answering() as connection:
            found = [self._nearest(connection, _text(query), k, among) for query in queries]
        return np.stack([_filled(rows, k, n) for rows in found])

    def _nearest(self, connection: Any, query: str, k: int, among: Mask | None) -> list[int]:
        if among is None:
            return self._read(connection, query, k)
        whole = self._whole(among)
        if whole is not None:
            return self._of(connection, query, k, whole.tolist())
        allowed = np.flatnonzero(among)
        if len(allowed) <= self.few:
            return self._exact(connection, query, k, "row", allowed.tolist())
        wanted, n = k * SPREAD, len(self.categories)
        while True:
            rows = self._read(connection, query, wanted)
            good = [row for row in rows if among[row]][:k]
            if len(good) == k or wanted >= n or len(rows) < wanted:
                break
            wanted *= SPREAD
        if len(good) < min(k, len(allowed)):
            return self._exact(connection, query, k, "row", allowed.tolist())
        return good

    def within(self, queries: Floats, k: int, categories: Sequence[int]) -> list[list[int]]:
        """The same, of some categories only: at most `k` rows for each query."""
        with self._answering() as connection:
            return [self._of(connection, _text(query), k, list(categories)) for query in queries]

    def _of(self, connection: Any, query: str, k: int, categories: list[int]) -> list[int]:
        known = [one for one in categories if one < len(self._sizes)]
        if self._sizes[known].sum() <= self.few:
            return self._exact(connection, query, k, "category", known)
        return self._read(connection, query, k, "category = ANY(%s::int[])", known)

    def _read(self, connection: Any, query: str, k: int, where: str = "", value: Any = None) -> list[int]:
        condition = f"WHERE {where}" if where else ""
        sql = f"SELECT row FROM {self.name} {condition} ORDER BY vector <#> %s::halfvec LIMIT %s".encode()
        parameters = (query, k) if not where else (value, query, k)
        if k > self.ef_search:
            connection.execute(f"SET hnsw.ef_search = {min(k, 1000):d}".encode())
        rows = [int(row) for (row,) in connection.execute(sql, parameters)]
        if k > self.ef_search:
            connection.execute(f"SET hnsw.ef_search = {self.ef_search:d}".encode())
        return rows

    def _exact(self, connection: Any, query: str, k: int, column: str, values: list[int]) -> list[int]:
        """Every row with these values is compared: `+ 0` is what the graph does not answer."""
        sql = (
            f"SELECT row FROM {self.name} WHERE {column} = ANY(%s::int[]) "
            "ORDER BY (vector <#> %s::halfvec) + 0 LIMIT %s"
        ).encode()
        return [int(row) for (row,) in connection.execute(sql, (values, query, k))]

    def _whole(self, among: Mask) -> npt.NDArray[np.int32] | None:
        """The categories that a mask is made of; None where it takes only a part of one."""
        inside = np.bincount(self.categories[among], minlength=len(self._sizes))
        taken = np.flatnonzero(inside)
        return taken.astype(np.int32) if (inside[taken] == self._sizes[taken]).all() else None

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        return np.bincount(self.categories)

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool (n,): rows that are not all zeros."""
        with self._answering() as connection:
            sql = f"SELECT row FROM {self.name} WHERE l2_norm(vector) > 0".encode()
            out = np.zeros(len(self.categories), bool)
            out[[row for (row,) in connection.execute(sql)]] = True
        return out

    def close(self) -> None:
        """Closes the connection; the next search opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _answering(self) -> Iterator[psycopg.Connection[Any]]:
        """One connection, which is opened again where it was lost."""
        try:
            import psycopg
        except ImportError:
            raise MissingDependencyError("psycopg", "postgres", "a search in PostgreSQL") from None
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._opened()
                yield self._connection
            except psycopg.Error as error:
                self.close()
                raise StoreError(
                    f"vectors in PostgreSQL cannot be searched ({cleaned(error, self.url)[:200]})"
                ) from error

    def _opened(self) -> Any:
        import psycopg

        connection = psycopg.connect(self.url, autocommit=True, connect_timeout=5)
        connection.prepare_threshold = None  # which way is best depends on the filter
        try:
            found = connection.execute(
                "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            if found is None:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                found = connection.execute(
                    "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
                ).fetchone()
        except psycopg.Error as error:
            connection.close()
            said = cleaned(error, self.url)[:120]
            raise ConfigError(
                f"the database has no pgvector ({said}): install it on the server and run "
                "CREATE EXTENSION vector"
            ) from error
        version = "" if found is None else str(found[0])
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < LEAST:
            connection.close()
            raise ConfigError(f"pgvector {version}: update it to 0.8 or later, which searches within filters")
        connection.execute("SET max_parallel_workers_per_gather = 0")  # to start them takes longer
        connection.execute("SET hnsw.iterative_scan = strict_order")
        connection.execute(f"SET hnsw.ef_search = {self.ef_search:d}".encode())
        connection.execute(f"SET hnsw.max_scan_tuples = {self.max_scan_tuples:d}".encode())
        return connection


def _text(query: Floats) -> str:
    return "[" + ",".join(map("{:.5g}".format, query.tolist())) + "]"


def _filled(rows: list[int], k: int, n: int) -> Rows:
    """With others behind them, up to `k`."""
    if len(rows) < k:
        have = set(rows)
        rows = rows + [row for row in range(min(n, k + len(rows))) if row not in have][: k - len(rows)]
    return np.array(rows, np.int32)


def _records(vectors: Floats, categories: npt.NDArray[np.int32], block: int = 8192) -> Iterator[bytes]:
    """PostgreSQL's binary format of COPY: every field has its length before it, all of it big-endian."""
    width = vectors.shape[1]
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("n1", ">i4"),
            ("row", ">i4"),
            ("n2", ">i4"),
            ("category", ">i4"),
            ("n3", ">i4"),
            ("width", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f2", (width,)),
        ]
    )
    yield b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    order = np.argsort(categories, kind="stable")  # a category's rows lie together
    for start in range(0, len(vectors), block):
        part = order[start : start + block]
        out = np.zeros(len(part), layout)
        out["fields"], out["n1"], out["n2"], out["n3"] = 3, 4, 4, 4 + 2 * width
        out["row"], out["category"] = part, categories[part]
        out["width"], out["vector"] = width, vectors[part]
        yield out.tobytes()
    yield b"\xff\xff"
