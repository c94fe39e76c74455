"""API keys: random, kept as SHA-256 digests, with scopes; made and revoked while the service runs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from concurrent.futures import Executor
from dataclasses import dataclass

from crossaisle.errors import ConfigError, StoreError, UnknownIdError, nearest
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.store import Store

SCOPES = ("read", "write", "merchandise", "admin")
"""read: lists. write: events, items, users. merchandise: rules. admin: models, metrics, everything else."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    name: str
    scopes: frozenset[str]


class Keys:
    """The keys of one store."""

    def __init__(self, store: Store, readers: Executor | None = None) -> None:
        """`readers`: runs the reads while the service runs."""
        self._store, self._readers = store, readers
        self._known: dict[bytes, Key] = {}
        self.made = False
        """Whether a key was ever seen here, even one that has been revoked or lost since."""
        self.read()
        self._read_at = time.monotonic()

    async def fresh(self) -> None:
        """Reads the keys again if they are old. While the store cannot be read, the known keys stay valid."""
        limits = self._store.limits
        if time.monotonic() - self._read_at <= limits.fresh_key_seconds:
            return
        self._read_at = time.monotonic()
        reading = asyncio.get_running_loop().run_in_executor(self._readers, self.read)
        try:
            # Not for ever: lists are answered from memory while the database is away.
            await asyncio.wait_for(asyncio.shield(reading), limits.key_wait_seconds)
        except TimeoutError:
            _LOG.warning("keys could not be read again: no answer within %g s", limits.key_wait_seconds)
        except StoreError as error:
            _LOG.warning("keys could not be read again: %s", error)

    def read(self) -> None:
        """Reads the keys; `StoreError` where the store does not answer."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT digest, name, scopes, revoked FROM api_keys").fetchall()
        self._known = {
            d: Key(n, frozenset(scopes.split(","))) for d, n, scopes, revoked in rows if not revoked
        }
        self.made = self.made or bool(rows)

    def find(self, token: str) -> Key | None:
        """The key of a token; None for an unknown or a revoked one."""
        # Digests of 256 random bits may be compared by a dictionary: nobody can steer them.
        return self._known.get(_digest(token))

    def any(self) -> bool:
        """Whether a key is in use."""
        return bool(self._known)


def add_key(store: Store, name: str, scopes: list[str]) -> str:
    """Makes a key and returns its token, which is shown once and stored nowhere."""
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError(f"unknown scope {scope!r}{nearest(scope, SCOPES)}")
    if name in {known for known, _, revoked in list_keys(store) if not revoked}:
        raise ConfigError(f"there is a key named {name!r} already: revoke it first or choose another name")
    token = f"ca_{secrets.token_urlsafe(32)}"

    def work(connection: SqlConnection) -> None:
        row = _digest(token), name, ",".join(scopes)
        connection.execute("INSERT INTO api_keys (digest, name, scopes) VALUES (?, ?, ?)", row)

    store.submit(work).result()
    return token


def revoke_key(store: Store, name: str) -> None:
    """Revokes a key; `UnknownIdError` if no such key is in use."""

    def work(connection: SqlConnection) -> int:
        query = "UPDATE api_keys SET revoked = 1 WHERE name = ? AND revoked = 0"
        return connection.execute(query, (name,)).rowcount

    if not store.submit(work).result():
        raise UnknownIdError(f"no key named {name!r} is in use")


def list_keys(store: Store) -> list[tuple[str, str, bool]]:
    """Name, scopes and whether it was revoked, for every key."""
    with store.reading() as connection:
        rows = connection.execute("SELECT name, scopes, revoked FROM api_keys ORDER BY name")
        return [(name, scopes, bool(revoked)) for name, scopes, revoked in rows]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
