"""Shared by all calls of a client: the transport, and how values, paths and batches are encoded."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from crossaisle.client.transport import Transport

BATCH = 1000
"""Events or items per request."""


class Calls:
    """Base class of the client's groups of calls."""

    def __init__(self, transport: Transport) -> None:
        self._transport, self._ask = transport, transport.ask


def plain(value: Any) -> Any:
    """A control in JSON form: any mapping as a dictionary, any other collection as a list."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def path_part(text: str) -> str:
    """Percent-encodes an id for use in a path. Dots alone would be taken for path segments."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def picture_type(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if content[8:12] == b"WEBP" else "image/jpeg"


def event_of(one: Mapping[str, Any]) -> dict[str, Any]:
    event = {name: value for name, value in one.items() if value is not None}
    event.setdefault("key", str(uuid.uuid4()))
    if isinstance(event.get("time"), datetime):
        event["time"] = event["time"].isoformat()
    return event


def batches(values: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(values)
    while batch := list(islice(rest, BATCH)):
        yield batch
