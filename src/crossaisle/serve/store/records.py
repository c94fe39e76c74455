"""What a store keeps, as named tuples: `Event`, `Picture`, `Change`, `ExposureRow`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Event(NamedTuple):
    """Something a user did with an item."""

    key: str | None
    """Idempotency key: an event whose key is known already is not counted again."""
    user: str
    item: str
    kind: str
    time: float
    """Seconds since 1970 (UTC)."""
    value: float | None = None
    quantity: float | None = None


EventRow = tuple[int, str, str, str, float | None, float | None, float]
"""Number, user, item, kind, value, quantity and time of an event, where many are read at once."""


class Picture(NamedTuple):
    """The picture of an item that was put in, and its embedding."""

    digest: bytes
    """Of the content."""
    address: str
    """Where it was fetched from; "" where it was sent."""
    fingerprint: str
    """The encoder's."""
    vector: npt.NDArray[np.float16]
    """float16 (d,), of unit length."""
    content: bytes = b""
    """The file; b"" where it is only in the store."""


class Change(NamedTuple):
    """Something that the other workers of a service take in."""

    seq: int
    what: str
    """item, forgotten, model or experiment."""
    name: str
    body: str


class ExposureRow(NamedTuple):
    """A list that a user was shown within an experiment."""

    experiment: str
    arm: str
    """"" for interleaved lists: both."""
    user: str
    time: float
    """Seconds since 1970 (UTC)."""
    body: str
    """JSON: items, propensities, share, ranking and teams."""
