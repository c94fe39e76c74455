"""API keys: random, kept as SHA-256 digests, with scopes; made and revoked while the service runs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field

from crossaisle.errors import ConfigError, StoreError, UnknownIdError, nearest
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.meta import drop_value, put_value, values_of
from crossaisle.serve.store.store import Store

VISITOR = "visitor"
SCOPES = (VISITOR, "read", "write", "merchandise", "admin")
"""visitor: lists and events of one visitor, from the shop's pages. read: lists. write: events, items,
users. merchandise: rules. admin: models, metrics, everything else."""
PUBLISHABLE = "pk_"
"""How tokens of scope `visitor` begin, so that nobody takes one for a secret, or a secret for one."""
_SECRET = "visitor-secret/"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    name: str
    scopes: frozenset[str]
    secret: str | None = field(default=None, repr=False)
    """What visitors of a publishable key are signed with; None where they need no signature."""

    @property
    def publishable(self) -> bool:
        """Whether anyone may see it, because it is in the shop's pages."""
        return VISITOR in self.scopes


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

    @property
    def old(self) -> bool:
        """Whether it is time to read them again."""
        return time.monotonic() - self._read_at > self._store.limits.fresh_key_seconds

    async def fresh(self) -> None:
        """Reads the keys again if they are old. While the store cannot be read, the known keys stay valid."""
        limits = self._store.limits
        if not self.old:
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
            secrets_of = dict(values_of(connection, _SECRET))
        known = {}
        for digest, name, scopes, revoked in rows:
            secret = secrets_of.get(_secret_name(digest))
            if not revoked:
                known[digest] = Key(
                    name, frozenset(scopes.split(",")), None if secret is None else secret.decode()
                )
        self._known = known
        self.made = self.made or bool(rows)

    def find(self, token: str) -> Key | None:
        """The key of a token; None for an unknown or a revoked one."""
        # Digests of 256 random bits may be compared by a dictionary: nobody can steer them.
        return self._known.get(_digest(token))

    def any(self) -> bool:
        """Whether a key is in use."""
        return bool(self._known)


def add_key(store: Store, name: str, scopes: list[str], *, secret: str | None = None) -> str:
    """Makes a key and returns its token, which is shown once and stored nowhere.

    `secret`: for a key of scope `visitor`, what visitors are signed with (`new_secret`); it is stored.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError(f"unknown scope {scope!r}{nearest(scope, SCOPES)}")
    if VISITOR in scopes and set(scopes) != {VISITOR}:
        raise ConfigError("a key with the scope visitor is public: it can have no other scope")
    if secret is not None and VISITOR not in scopes:
        raise ConfigError("--sign is for keys of scope visitor: add --scope visitor")
    if name in {known for known, _, revoked in list_keys(store) if not revoked}:
        raise ConfigError(f"a key named {name!r} already exists: revoke it first or choose another name")
    token = f"{PUBLISHABLE if VISITOR in scopes else 'ca_'}{secrets.token_urlsafe(32)}"

    def work(connection: SqlConnection) -> None:
        row = _digest(token), name, ",".join(scopes)
        connection.execute("INSERT INTO api_keys (digest, name, scopes) VALUES (?, ?, ?)", row)
        if secret is not None:
            put_value(connection, _secret_name(_digest(token)), secret.encode())

    store.submit(work).result()
    return token


def revoke_key(store: Store, name: str) -> None:
    """Revokes a key; `UnknownIdError` if no such key is in use."""

    def work(connection: SqlConnection) -> int:
        known = "SELECT digest FROM api_keys WHERE name = ? AND revoked = 0"
        for (digest,) in connection.execute(known, (name,)).fetchall():
            drop_value(connection, _secret_name(digest))
        query = "UPDATE api_keys SET revoked = 1 WHERE name = ? AND revoked = 0"
        return connection.execute(query, (name,)).rowcount

    if not store.submit(work).result():
        raise UnknownIdError(f"no key named {name!r} is in use")


def list_keys(store: Store) -> list[tuple[str, str, bool]]:
    """Name, scopes and whether it was revoked, for every key."""
    with store.reading() as connection:
        rows = connection.execute("SELECT name, scopes, revoked FROM api_keys ORDER BY name")
        return [(name, scopes, bool(revoked)) for name, scopes, revoked in rows]


def new_secret() -> str:
    """256 random bits, as text for a setting of the shop's server."""
    return f"sk_{secrets.token_urlsafe(32)}"


def _secret_name(digest: bytes) -> str:
    return f"{_SECRET}{bytes(digest).hex()}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
