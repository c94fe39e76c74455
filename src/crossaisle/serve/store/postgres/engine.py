"""PostgreSQL, by URL: `postgresql://USER:PASSWORD@HOST/DATABASE`, with `?schema=NAME` where it is shared.

Commits wait for the write-ahead log to be on the server's disk (synchronous_commit). Needs the extra
`postgres`. Session pooling or none: settings belong to a connection.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from crossaisle.errors import (
    HOSTS,
    ConfigError,
    DataError,
    MissingDependencyError,
    StoreError,
    cleaned,
    shorten,
    shown,
)
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.store.engine import Cursor, Displaced, SqlConnection, Trouble
from crossaisle.serve.store.events import fresh_ones, kept_under
from crossaisle.serve.store.migrations.apply import migrate, up_to_date
from crossaisle.serve.store.postgres.alone import Alone
from crossaisle.serve.store.postgres.membership import CHANNEL, Membership
from crossaisle.serve.store.postgres.session_lock import SessionHolding
from crossaisle.serve.store.postgres.versions import PostgresVersions
from crossaisle.serve.store.records import Event
from crossaisle.serve.store.schema import CLAIM, COLUMNS

if TYPE_CHECKING:
    import psycopg

_LOG = logging.getLogger(__name__)
SCHEMES = ("postgresql", "postgres")
LOCK = 0x63726F73
"""Number of the advisory lock of whoever migrates, or writes in turn."""
_HELD, _ALONE = LOCK + 1, LOCK + 2
_TROUBLES = ("25", "42501", "53", "55", "57014", "58", "F0", "XX")
"""How codes of errors begin that are about the server: read-only, full, without a right, failing."""
_TAKEN = (
    "another service has taken the store: nothing is acknowledged any more; restart this one, and it joins "
    "that one"
)
_SETTLED = f"""
SELECT (SELECT coalesce(max(seq), 0) FROM events), (SELECT run FROM service), pg_notify({CHANNEL}, ?)
"""
_INSERT = f"""
INSERT INTO events ({COLUMNS})
SELECT {COLUMNS} FROM unnest(
    ?::text[], ?::text[], ?::text[], ?::text[], ?::float8[], ?::float8[], ?::float8[]
) WITH ORDINALITY AS t ({COLUMNS}, n) ORDER BY n
ON CONFLICT (key) DO NOTHING RETURNING key
"""


class PostgresEngine:
    """A database, or a schema in one."""

    remote = True
    overwrites = False  # neither the free room of its pages nor its log
    several_hosts = os.name == "posix"
    # Numbers are drawn before the commit: without a lock, a lower one may appear after a higher one was read.
    # Whoever writes takes it: hosts follow each other by these numbers.
    begin = begin_in_turn = (
        "BEGIN ISOLATION LEVEL READ COMMITTED; "
        f"SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"
    )
    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, url: str, limits: StoreLimits = StoreLimits()) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingDependencyError("psycopg", "postgres", "a store on PostgreSQL") from None
        self.errors: tuple[type[Exception], ...] = (psycopg.Error, OSError)
        self.path = url
        self.limits = limits
        self.pulse = 0.5 if limits.pulse_seconds is None else limits.pulse_seconds
        self._url, self._schema = _parsed(url)
        self.name = shown(url)
        self._reader: _Sql | None = None
        self._lock = threading.RLock()
        self.run = ""
        self.host = ""
        """Of the service that this process belongs to: its own commits ring no bell here."""
        self._adopting = False
        self._holding: SessionHolding | None = None

    def hold(self, host: str) -> SessionHolding:
        """By an advisory lock of a session that stays open."""
        self.host = host
        self._holding = SessionHolding(
            self.name,
            self._lockable,
            self.errors,
            _HELD,
            self.limits.hold_seconds,
            host=host,
            several=self.several_hosts,
        )
        return self._holding

    def alone(self, what: str) -> Alone:
        """A lock that one process of all hosts has at a time, by a name."""

        def connect() -> SqlConnection:
            return self._named(f"crossaisle: process {os.getpid()} on {socket.gethostname()}")

        return Alone(self.name, what, connect, self.errors, _ALONE)

    @contextmanager
    def only(self, what: str) -> Iterator[None]:
        """By a lock of a session that stays open inside."""
        turn = self.alone(what)
        try:
            if not turn.taken():
                raise StoreError(
                    f"{self.name}: {turn.holder()} does this already ({what}): wait for it to end"
                )
            yield
        finally:
            turn.close()

    def join(self, worker: int, limits: WorkerLimits) -> Membership:
        """A place among all that serve from the store."""
        return Membership(
            self,
            self.host,
            f"process {os.getpid()} on {socket.gethostname()}",
            worker=worker,
            beat_seconds=limits.beat_seconds,
            lease_seconds=limits.lease_seconds,
            free_seconds=limits.free_seconds,
        )

    def _lockable(self, name: str) -> SqlConnection:
        connection = self._named(name)
        try:
            self._make_schema(connection)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _named(self, name: str) -> _Sql:
        connection = self.open()
        connection.execute("SELECT set_config('application_name', ?, false)", (name[:63],))
        return connection

    def claim(self, connection: SqlConnection, run: str) -> None:
        """Writes the mark, or learns that of the hosts that serve already."""
        if self._holding is None or self._holding.alone:
            connection.execute(CLAIM, (run,))
            self.run = run
        else:
            self._adopting = True
            self.settled(connection)

    def expect(self, run: str) -> None:
        """The mark is that of all hosts, and is learned once there is a connection."""
        self.host, self._adopting = run, True

    def settled(self, connection: SqlConnection) -> int:
        """The number of the last event; the mark is read on the same way, and the other hosts hear of it."""
        number, mark, _ = connection.execute(_SETTLED, (self.host,)).fetchone()
        if self._adopting:
            self.run, self._adopting = mark or "", False
        if self.run and mark != self.run:
            raise Displaced(f"{self.name}: {_TAKEN}")
        return int(number)

    def trouble(self, error: Exception, *, reading: bool = False) -> Trouble | None:
        """By the server's own code; what is wrong with reading, the next look finds."""
        if isinstance(error, Displaced):
            return Trouble(str(error).removeprefix(f"{self.name}: "))
        code = getattr(error, "sqlstate", None) or ""
        if reading or not code.startswith(_TROUBLES):
            return None
        return Trouble(f"the server refuses to write ({cleaned(error, self._url)[:200]}): look at its log")

    def readable(self) -> bool:
        """Nothing is, without a connection."""
        return False

    def examine(self) -> tuple[str, float | None]:
        """The server looks after its files."""
        return "", None

    def connect(self) -> SqlConnection:
        """The writer's connection; makes schema and tables."""
        connection = self.open()
        try:
            self._make_schema(connection)
            if connection.execute("SHOW synchronous_commit").fetchone()[0] in ("off", "local"):
                connection.execute("SET synchronous_commit = on")
            # A host that is paused in the middle of a write must not keep the others from writing.
            connection.execute(f"SET idle_in_transaction_session_timeout = {self.limits.stuck_ms}")
            if connection.execute("SHOW fsync").fetchone()[0] != "on":
                _LOG.warning("%s: fsync is off: acknowledged events do not survive a crash", self.name)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_schema(self, connection: _Sql) -> None:
        query = "SELECT 1 FROM pg_namespace WHERE nspname = ?"
        if not self._schema or connection.execute(query, (self._schema,)).fetchone() is not None:
            return
        connection.execute("BEGIN")
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")  # two may start at once
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
        connection.execute("COMMIT")

    def _prepare(self, connection: _Sql) -> None:
        """Tables and version. Nothing is written where all are there: the server may take no writes."""
        versions = PostgresVersions(LOCK)
        if not up_to_date(connection, versions, self.name):
            migrate(connection, versions, self.name)

    def open(self, *, read_only: bool = False) -> _Sql:
        """A connection outside of any transaction, before tables are looked for."""
        import psycopg

        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=self.limits.connect_seconds,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=self.limits.lost_ms,
                application_name="crossaisle",
            )
        except psycopg.Error as error:  # what it cannot read of an address, it quotes
            raise type(error)(cleaned(error, self.path)) from None
        wrapped = _Sql(connection)
        connection.execute("SET client_min_messages = warning")  # not that a table is there already
        if not connection.info.host.startswith("/"):  # the server, too, notices who is gone
            connection.execute(
                "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"
            )
        if self._schema:
            connection.execute(f'SET search_path TO "{self._schema}"')
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
        return wrapped

    def lost(self, connection: SqlConnection) -> bool:
        """Whether the server is gone, as far as this connection knows."""
        return isinstance(connection, _Sql) and connection.raw.closed

    def insert(self, connection: SqlConnection, events: Sequence[Event]) -> list[bool]:
        """Inserts new events with one statement."""
        if not events:
            return []
        columns = [list(column) for column in zip(*events, strict=True)]
        for n in (4, 5, 6):  # a list must not mix whole numbers and others
            columns[n] = [None if value is None else float(value) for value in columns[n]]
        fresh = {row[0] for row in connection.execute(_INSERT, columns)}
        before = {event.key for event in events if event.key is not None} - fresh
        return fresh_ones(events, kept_under(connection, list(before)))

    def rewrite(self, connection: SqlConnection) -> None:
        """Takes dead rows out of the pages, as far as no reader may still see them."""
        connection.execute("VACUUM events, exposures, users, forgotten")

    def empty_log(self, connection: SqlConnection) -> bool:
        """Nothing: the log is the server's."""
        return True

    @contextmanager
    def reading(self) -> Iterator[SqlConnection]:
        """The one connection that is kept for reading; opened again where it was lost."""
        with self._lock:
            if self._reader is not None:
                try:
                    self._reader.execute("SELECT 1")
                except self.errors:
                    self._reader.close()
                    self._reader = None
            if self._reader is None:
                self._reader = self.open(read_only=True)
            yield self._reader

    def reader(self) -> SqlConnection:
        """A read-only connection."""
        return self.open(read_only=True)

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows in portions of 10,000."""
        with (
            closing(self.open(read_only=True)) as connection,
            connection.raw.transaction(),
            connection.raw.cursor(name="crossaisle") as cursor,
        ):
            cursor.itersize = 10_000
            cursor.execute(_marked(sql), parameters)
            yield from cursor

    def close(self) -> None:
        """Closes the connection kept for reading."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None


class _Sql:
    """A psycopg connection that takes `?` for parameters."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        if not parameters:
            return self.raw.execute(sql.encode())  # as it is, with any %
        return self.raw.execute(_marked(sql), _checked(parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(_marked(sql), [_checked(row) for row in parameters])

    def close(self) -> None:
        self.raw.close()


@lru_cache(maxsize=256)
def _marked(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _checked(row: Sequence[Any]) -> Sequence[Any]:
    for value in row:
        texts = value if isinstance(value, list) else (value,)
        if any(isinstance(text, str) and "\x00" in text for text in texts):
            raise DataError("text for a store on PostgreSQL must not hold the character NUL")
    return row


def _parsed(url: str) -> tuple[str, str | None]:
    """The URL as libpq knows it, and the schema."""
    try:
        parts = urlsplit(url)
        good = url.isprintable() and HOSTS.fullmatch(parts.netloc.rpartition("@")[2])
    except ValueError:
        good = None
    if not good:
        raise ConfigError(
            f"{shown(url)}: is not a database address: write postgresql://USER:PASSWORD@HOST/DATABASE, "
            "and special characters of a password as %2F for / or %40 for @"
        )
    given = parse_qsl(parts.query)
    schema = dict(given).get("schema")
    if schema is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", schema):
        raise ConfigError(f"schema {shorten(schema)}: must be letters, digits and _, at most 63")
    rest = urlencode([(name, value) for name, value in given if name != "schema"], quote_via=quote)
    # Not by urlunsplit, which drops the slashes before an empty host.
    return f"postgresql://{parts.netloc}{parts.path}{'?' if rest else ''}{rest}", schema
