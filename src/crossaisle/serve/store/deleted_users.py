"""`Forgotten`: who was deleted, and when. Of an id, only a digest is kept, made with a key of the store.

Whoever has the store has the key, and can check whether an id they know is among them: digests are
pseudonyms, not anonymous. In logs and in the audit log, which leave the store, they reveal nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.store.engine import SqlConnection

MANY = 500
"""Digests looked up with one statement."""


class Dated(Protocol):
    """Something about a user at a time: an event, or a list that was shown."""

    @property
    def user(self) -> str: ...
    @property
    def time(self) -> float: ...


class Forgotten:
    """Kept in memory beside the live histories; one thread adds, any may read."""

    def __init__(self, key: bytes = b"", deleted: Iterable[tuple[bytes, float]] = ()) -> None:
        """`deleted`: digests, and times in seconds since 1970."""
        self._key = key
        self.number = 0
        """Grows with every deletion that is taken in."""
        self._deleted = {digest: (time, 0) for digest, time in deleted}

    def digest(self, user: str) -> bytes:
        """What is kept of a user."""
        return keyed(self._key, hashlib.sha256(user.encode()).digest())

    def add(self, digest: bytes, time: float) -> None:
        """Somebody was deleted at a time."""
        self.number += 1
        self._deleted[digest] = time, self.number

    def __len__(self) -> int:
        return len(self._deleted)

    def __contains__(self, user: str) -> bool:
        return bool(self._deleted) and self.digest(user) in self._deleted

    @property
    def times(self) -> dict[bytes, float]:
        """All, by digest."""
        return {digest: time for digest, (time, _) in self._deleted.items()}

    def time_of(self, user: str) -> float | None:
        """When a user was deleted last; None for most."""
        found = self._deleted.get(self.digest(user))
        return None if found is None else found[0]

    def since(self, number: int, user: str) -> bool:
        """Whether a user was deleted since the number was this."""
        return number != self.number and self._deleted.get(self.digest(user), (0.0, 0))[1] > number

    def covers(self, one: Dated) -> bool:
        """Whether a deletion took this away, or would have."""
        if not self._deleted:
            return False
        deleted = self.time_of(one.user)
        return deleted is not None and within(one.time, deleted)

    def covered(self, connection: SqlConnection, several: Sequence[Dated]) -> list[bool]:
        """The same for several, by what the store holds at this moment of a transaction.

        Only what is older than the last deletion of all costs anything.
        """
        last = connection.execute("SELECT max(time) FROM forgotten").fetchone()[0]
        if last is None:
            return [False] * len(several)
        old = {one.user for one in several if within(one.time, last)}
        digests = {self.digest(user): user for user in old}
        times: dict[str, float] = {}
        wanted = list(digests)
        for start in range(0, len(wanted), MANY):
            part = wanted[start : start + MANY]
            query = f"SELECT digest, time FROM forgotten WHERE digest IN ({','.join('?' * len(part))})"
            times |= {digests[bytes(digest)]: time for digest, time in connection.execute(query, part)}
        if not times:
            return [False] * len(several)
        return [one.user in times and within(one.time, times[one.user]) for one in several]


def keyed(key: bytes, digest: bytes) -> bytes:
    """Keyed BLAKE2b of a SHA-256 digest, so that what a store of version 1 kept can be keyed, too."""
    return hashlib.blake2b(digest, key=key, digest_size=32).digest()


def within(time: float, deleted: float) -> bool:
    """Whether something is no later than a deletion; in days, as histories in memory keep times."""
    return time / SECONDS_PER_DAY <= deleted / SECONDS_PER_DAY
