"""`Message` and the `Source` protocol, which the brokers' modules implement."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

NUMBERS = ("time", "value", "quantity")
"""Fields of an event that are numbers, where a broker holds all fields as text."""
LONGEST_KEY = 256
"""Characters of an idempotency key."""
OLDEST = 946_684_800.0
"""The year 2000: an earlier time of a broker is a number that a sender made up."""


class Message(NamedTuple):
    """One message of a stream."""

    place: str
    """Where it lies, in the broker's words; the idempotency key of an event that has none."""
    event: dict[str, Any] | None
    """None where it cannot be parsed; `problem` says why."""
    problem: str
    handle: Any
    """What the source needs to acknowledge it or to put it aside."""
    time: float | None = None
    """When the broker got it, in seconds since 1970: the time of an event that has none. So a replay after
    a user's deletion does not give it the present time."""


class Source(Protocol):
    """A place in a stream that several consumers share."""

    name: str

    def read(self, most: int, wait: float) -> list[Message]:
        """Up to `most` messages; waits up to `wait` seconds for the first. Reconnects by itself."""
        ...

    def dead_letter(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Puts messages aside in the dead-letter stream, with the reason, before they are done."""
        ...

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledges messages: the broker will not deliver them again."""
        ...

    def close(self) -> None:
        """Leaves the group."""
        ...


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
