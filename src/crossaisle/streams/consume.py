"""Delivers events from a stream to a running service: at-least-once delivery, exactly-once effect.

A message is acknowledged to the broker after the service has acknowledged the event. A message redelivered
because one of the three processes died has the same idempotency key, so it counts once. Events go through the
service rather than straight into its store, because the service's counts in memory only include events that
it stored itself.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from crossaisle.errors import ConfigError, shown
from crossaisle.progress import Advance, unwatched
from crossaisle.streams.sender import Sender, Stopped
from crossaisle.streams.source import Message, Source, key_of

_LOG = logging.getLogger(__name__)
KAFKA, REDIS = ("kafka",), ("redis", "rediss", "valkey", "valkeys", "unix")


@dataclass
class Consumed:
    """Outcome of consuming a stream."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead: int = 0
    """Messages put into the dead-letter stream."""
    forgotten: int = 0
    """Events of users who have since been deleted, so not stored."""


def consume(
    source: Source,
    sender: Sender,
    *,
    batch: int = 500,
    wait: float = 1.0,
    until_empty: bool = False,
    advance: Advance = unwatched,
) -> Consumed:
    """Delivers messages from `source` to the service until `sender.stop` is set.

    `until_empty`: return as soon as no message has arrived for `wait` seconds. Raises what `Sender.send`
    raises except `Stopped`; unacknowledged messages are then redelivered to the next consumer.
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
            source.dead_letter(dead)
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

    `start`: `beginning`, `end`, or a position to which the group is moved; by default it resumes where it
    stopped, and a new group starts at the beginning. `settings`: of librdkafka (Kafka only). `claim_seconds`:
    idle time after which messages of a dead consumer are taken over (Redis only; Kafka has its own timeout).
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


def _whole(message: Message) -> dict[str, Any]:
    event = message.event or {}
    given = {"key": key_of(message.place), "time": message.time}
    return event | {name: value for name, value in given.items() if event.get(name) is None}
