"""Redis and Valkey Streams: a consumer group with acknowledgements that takes over messages of dead
consumers."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from crossaisle.errors import ConfigError, MissingDependencyError, cleaned, shown
from crossaisle.streams.sender import Stopped
from crossaisle.streams.source import NUMBERS, Message, moment, parsed

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
PAUSE = 0.3
"""Seconds between attempts to reach the broker."""
JSON_FIELDS = (b"event", b"json", b"data")
"""An entry with one of these as its only field holds the event as JSON; other entries hold one value per
field."""
_START = {"beginning": "0", "end": "$"}


class RedisSource:
    """One consumer of a consumer group."""

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        group: str = "crossaisle",
        consumer: str | None = None,
        start: str | None = None,
        claim_seconds: float = 30.0,
        stop: threading.Event | None = None,
    ) -> None:
        """See `open_source`. `start` may be an entry id, after which the group continues."""
        try:
            import redis
        except ImportError:
            raise MissingDependencyError("redis", "streams", "reading from Redis") from None
        self.name = f"{shown(url)} {shown(stream)}"
        self._said: Callable[[object], str] = lambda error: cleaned(error, url)
        self._stream, self._group = stream, group
        self._dead = f"{stream}.dead"
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}"
        self._stop = stop or threading.Event()
        self._away = (redis.ConnectionError, redis.TimeoutError)
        self._refused = redis.ResponseError
        try:
            self._redis: Any = redis.Redis.from_url(
                url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
                protocol=2,
                socket_connect_timeout=5,
                socket_timeout=10,
                health_check_interval=15,
            )
        except ValueError as error:
            raise ConfigError(f"{shown(url)}: {self._said(error)}") from None
        self._claim_ms = int(claim_seconds * 1000)
        self._claim_at = 0.0
        self._claim_from = "0-0"
        self._own_pending: str | None = "0"
        """Where to continue among messages delivered to this consumer earlier and not yet acknowledged."""
        self._make_group(start)

    def _make_group(self, start: str | None) -> None:
        position = _START.get(start or "beginning", start or "0")
        try:
            self._try(lambda: self._redis.xgroup_create(self._stream, self._group, position, mkstream=True))
        except self._refused as error:
            if "BUSYGROUP" not in str(error):
                raise ConfigError(f"{self.name}: {self._said(error)}") from None
            if start is not None:
                self._try(lambda: self._redis.xgroup_setid(self._stream, self._group, position))
        except TypeError as error:  # unknown options in the URL
            raise ConfigError(f"{self.name}: {self._said(error)}") from None

    def _try(self, ask: Callable[[], T]) -> T:
        """Retries until the broker answers; `Stopped` when `stop` is set."""
        told = False
        while True:
            try:
                return ask()
            except self._away as error:
                if not told:
                    _LOG.warning("%s: waiting for the broker (%s)", self.name, self._said(error))
                told = True
                # Messages in a lost response are already assigned to this consumer: read its pending ones
                # again.
                self._own_pending = "0"
                if self._stop.wait(PAUSE):
                    raise Stopped from None

    def read(self, most: int, wait: float) -> list[Message]:
        """First the messages this consumer left unacknowledged, then those of dead consumers, then new
        ones."""
        try:
            return self._try(lambda: self._read(most, wait))
        except Stopped:
            return []
        except self._refused as error:
            if "NOGROUP" not in str(error):
                raise
            # The group was deleted: recreate it from the beginning, which is harmless because of the keys.
            _LOG.warning("%s: the group is gone and is made again", self.name)
            self._make_group(None)
            return []

    def _read(self, most: int, wait: float) -> list[Message]:
        if self._own_pending is not None:
            entries = self._asked(self._own_pending, most, None)
            if entries:
                self._own_pending = entries[-1][0].decode()
                return self._messages(entries)
            self._own_pending = None
        if time.monotonic() >= self._claim_at:
            entries = self._claimed(most)
            if entries:
                return self._messages(entries)
        return self._messages(self._asked(">", most, max(1, int(wait * 1000))))

    def _asked(self, after: str, most: int, block: int | None) -> list[Any]:
        streams = {self._stream: after}
        found = self._redis.xreadgroup(self._group, self._consumer, streams, count=most, block=block)
        return list(found[0][1]) if found else []

    def _claimed(self, most: int) -> list[Any]:
        following, entries, *gone = self._redis.xautoclaim(
            self._stream, self._group, self._consumer, self._claim_ms, self._claim_from, count=most
        )
        if gone and gone[0]:
            _LOG.warning("%s: %d messages were trimmed before they were read", self.name, len(gone[0]))
        self._claim_from = following.decode()
        if self._claim_from == "0-0":  # all pending entries have been scanned
            self._claim_at = time.monotonic() + self._claim_ms / 2000
        if entries:
            _LOG.warning("%s: took over %d messages of another consumer", self.name, len(entries))
        return list(entries)

    def _messages(self, entries: list[Any]) -> list[Message]:
        found = [(name, self._message(name, fields or {})) for name, fields in entries]
        return [one._replace(time=moment(int(name.partition(b"-")[0]))) for name, one in found]

    def _message(self, name: bytes, fields: dict[bytes, bytes]) -> Message:
        place, handle = f"redis:{self._stream}:{name.decode()}", (name, fields)
        if not fields:
            return Message(place, None, "the message was deleted before it was read", handle)
        if len(fields) == 1:
            ((field, value),) = fields.items()
            if field in JSON_FIELDS:
                return parsed(place, value, handle)
        try:
            texts = {field.decode(): value.decode() for field, value in fields.items()}
        except UnicodeDecodeError:
            return Message(place, None, "not UTF-8", handle)
        return Message(place, {n: _number(t) if n in NUMBERS else t for n, t in texts.items()}, "", handle)

    def dead_letter(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Writes to `STREAM.dead` with the reason, and acknowledges in the same transaction."""

        def write() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                for message, reason in messages:
                    name, fields = message.handle
                    pipe.xadd(self._dead, {**fields, "dead-reason": reason, "dead-id": name})
                    pipe.xack(self._stream, self._group, name)
                pipe.execute()

        self._try_or_leave(write)

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledges the messages (XACK)."""
        names = [message.handle[0] for message in messages]
        self._try_or_leave(lambda: self._redis.xack(self._stream, self._group, *names))

    def _try_or_leave(self, ask: Callable[[], Any]) -> None:
        try:
            self._try(ask)
        except Stopped:
            _LOG.warning("%s: stopped before the broker knew; these messages will come again", self.name)

    def close(self) -> None:
        """Removes the consumer from the group if it has no pending messages."""
        try:
            pending = self._redis.xpending_range(self._stream, self._group, "-", "+", 1, self._consumer)
            if not pending:
                self._redis.xgroup_delconsumer(self._stream, self._group, self._consumer)
        except (*self._away, self._refused):
            _LOG.debug("%s: the group could not be left", self.name, exc_info=True)
        self._redis.close()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
