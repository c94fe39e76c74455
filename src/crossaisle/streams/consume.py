"""Events out of a stream into a running service: at least once on the way, exactly once in effect.

A message is acknowledged to the broker when the service has acknowledged the event to us. Whatever comes
twice because one of the three died in between has the same idempotency key, and counts once. Events go
through the service and not into its store: the service counts in memory only what it put there itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from crossaisle.errors import ConfigError, shown
from crossaisle.streams.sender import Sender, Stopped

_LOG = logging.getLogger(__name__)
NUMBERS = ("time", "value", "quantity")
LONGEST_KEY = 256
OLDEST = 946_684_800.0
"""The year 2000: a broker's time before that is a number that somebody made up."""
KAFKA, REDIS = ("kafka",), ("redis", "rediss", "valkey", "valkeys", "unix")


class Message(NamedTuple):
    """One message of a stream."""

    place: str
    """Where it lies, in the broker's words; the idempotency key of an event that has none."""
    event: dict[str, Any] | None
    """None where it cannot be read."""
    problem: str
    handle: Any
    """What the source needs to acknowledge it or to put it aside."""
    time: float | None = None
    """When the broker got it, in seconds since 1970: the time of an event that has none. So a replay after
    the deletion of a person does not make it one of now."""


class Source(Protocol):
    """A place in a stream that several consumers share."""

    name: str

    def read(self, most: int, wait: float) -> list[Message]:
        """Up to `most` messages; waits up to `wait` seconds for the first. Reconnects by itself."""
        ...

    def bury(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Puts messages aside in the dead-letter stream, with the reason, before they are done."""
        ...

    def done(self, messages: Sequence[Message]) -> None:
        """Has the broker know that these need not come again."""
        ...

    def close(self) -> None:
        """Leaves the group."""
        ...


@dataclass
class Consumed:
    """What went through."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead: int = 0
    """Put into the dead-letter stream."""
    forgotten: int = 0
    """Of people who were deleted since: not kept."""


def consume(
    source: Source,
    sender: Sender,
    *,
    batch: int = 500,
    wait: float = 1.0,
    until_empty: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Consumed:
    """Takes messages from `source` to the service until `sender.stop` is set.

    `until_empty`: ends as soon as nothing has come for `wait` seconds. Raises what `Sender.send` raises
    except `Stopped`; messages under way then come again to the next consumer.
    """
    total = Consumed()
    while not sender.stop.is_set():
        messages = source.read(batch, wait)
        if not messages:
            if until_empty:
                break
            continue
        dead = [(message, message.problem) for message in messages if message.event is None]
        good = [message for message in messages if message.event is not None]
        try:
            sent = sender.send([_whole(message) for message in good])
        except Stopped:
            break
        dead += [(good[number], reason) for number, reason in sent.refused]
        if dead:
            _LOG.warning("%s: %d messages put aside, the first: %s", source.name, len(dead), dead[0][1])
            source.bury(dead)
        source.done(messages)
        total.read += len(messages)
        total.accepted += sent.accepted
        total.duplicates += sent.duplicates
        total.forgotten += sent.forgotten
        total.dead += len(dead)
        advance(len(messages))
    return total


def open_source(
    url: str,
    stream: str,
    *,
    group: str = "crossaisle",
    consumer: str | None = None,
    start: str | None = None,
    settings: dict[str, str] | None = None,
    claim_seconds: float = 30.0,
    stop: threading.Event | None = None,
) -> Source:
    """The consumer for a URL: `redis://` (also `rediss`, `valkey`, `unix`) or `kafka://HOST:PORT,HOST:PORT`.

    `start`: `beginning`, `end`, or a position, to which the group is moved; by default it goes on where it
    was, and a new group begins at the beginning. `settings`: of librdkafka, for Kafka. `claim_seconds`: after
    so long, messages of a dead consumer are taken over (Redis; Kafka has its own time for it).
    """
    scheme = url.partition(":")[0]
    if scheme in REDIS:
        from crossaisle.streams.redis import RedisSource

        return RedisSource(
            url, stream, group=group, consumer=consumer, start=start, claim_seconds=claim_seconds, stop=stop
        )
    if scheme in KAFKA:
        from crossaisle.streams.kafka import KafkaSource

        return KafkaSource(url, stream, group=group, start=start, settings=settings, stop=stop)
    raise ConfigError(f"{shown(url)}: a stream is at redis://HOST:PORT or kafka://HOST:PORT")


def parsed(place: str, text: bytes | None, handle: Any) -> Message:
    """A message that holds one event as JSON."""
    if text is None:
        return Message(place, None, "the message is empty", handle)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Message(place, None, f"not JSON ({str(error)[:100]})", handle)
    if not isinstance(event, dict):
        return Message(place, None, "not an object", handle)
    return Message(place, event, "", handle)


def key_of(place: str) -> str:
    """An idempotency key for a place in a stream, not longer than a key may be."""
    return place if len(place) <= LONGEST_KEY else hashlib.sha256(place.encode()).hexdigest()


def moment(milliseconds: int) -> float | None:
    """A broker's time in seconds since 1970; None where it can be none, such as a number of the sender's."""
    seconds = milliseconds / 1000
    return seconds if OLDEST <= seconds <= time.time() else None


def _whole(message: Message) -> dict[str, Any]:
    event = message.event or {}
    given = {"key": key_of(message.place), "time": message.time}
    return event | {name: value for name, value in given.items() if event.get(name) is None}
