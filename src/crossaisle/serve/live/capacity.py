"""`Room`: how much has been put into a shop, and that it stays within what one process can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from crossaisle.errors import ConflictError, DataError, shorten
from crossaisle.serve.limits.live import CapacityLimits

LARGEST_BODY = 64_000
"""Bytes, as JSON, of an item or of a user's attributes: each answer that shows them carries them."""
Bodies = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Room:
    """What new and changed items take up."""

    items: int
    size: int
    """Bytes."""

    @classmethod
    def of(cls, bodies: Bodies) -> Room:
        """What they take up together."""
        return cls(len(bodies), sum(map(_size, bodies.values())))

    def after(
        self,
        before: Bodies,
        bodies: Bodies,
        known: int | None,
        limits: CapacityLimits = CapacityLimits(),
    ) -> Room:
        """What they take up once some have changed.

        `known`: how many items the model has; None where another process has decided already. Raises
        `ConflictError` where there is no room, and `DataError` for an item that grows too large bit by bit.
        """
        items, size = self.items, self.size
        for name, body in bodies.items():
            old = before.get(name)
            now, then = _size(body), 0 if old is None else _size(old)
            if known is not None and now > max(then, LARGEST_BODY):
                rule = f"must not exceed {LARGEST_BODY:,} bytes as JSON (found {now:,})"
                raise DataError(f"item {shorten(name)}: {rule}")
            items, size = items + (old is None), size + now - then
        if known is not None and items > self.items and items > limits.items + known:
            raise ConflictError(
                f"this shop is full: at most {limits.items:,} items may be added, deleted ones included"
            )
        if known is not None and size > self.size and size > limits.json_bytes:
            raise ConflictError(
                f"this shop is full: added and changed items may take {limits.json_bytes:,} "
                "bytes; delete those no longer sold"
            )
        return Room(items, size)


def _size(body: Mapping[str, Any]) -> int:
    return len(orjson.dumps(body))
