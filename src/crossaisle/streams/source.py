"""`Message` and the `Source` protocol, implemented by the brokers' modules."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

NUMBERS = ("time", "value", "quantity")
"""Event fields that are numbers; some brokers deliver all fields as text."""
LONGEST_KEY = 256
"""Maximum length of an idempotency key, in characters."""
OLDEST = 946_684_800.0
"""The year 2000: a broker timestamp before it is not a real time but a number set by the sender."""


class Message(NamedTuple):
    """One message of a stream."""

    place: str
    """Position in the stream, in the broker's terms; the idempotency key of events without one."""
    event: dict[str, Any] | None
    """None if it cannot be parsed; `problem` says why."""
    problem: str
    handle: Any
    """What the source needs to acknowledge or dead-letter the message."""
    time: float | None = None
    """When the broker received it, in seconds since 1970; the time of events without one. Thus replaying a
    stream after a user's deletion does not give old events the current time."""


class Source(Protocol):
    """A position in a stream, shared by the consumers of a group."""

    name: str

    def read(self, most: int, wait: float) -> list[Message]:
        """Up to `most` messages; waits up to `wait` seconds for the first. Reconnects by itself."""
        ...

    def dead_letter(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Writes messages to the dead-letter stream with the reason, before they are acknowledged."""
        ...

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledges messages, so that the broker does not deliver them again."""
        ...

    def close(self) -> None:
        """Leaves the consumer group."""
        ...


def parsed(place: str, text: bytes | None, handle: Any) -> Message:
    """Parses a message that holds one event as JSON."""
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
    """The idempotency key for a position in a stream, shortened to the maximum length."""
    return place if len(place) <= LONGEST_KEY else hashlib.sha256(place.encode()).hexdigest()


def moment(milliseconds: int) -> float | None:
    """A broker timestamp in seconds since 1970; None if implausible, such as a number set by the sender."""
    seconds = milliseconds / 1000
    return seconds if OLDEST <= seconds <= time.time() else None
