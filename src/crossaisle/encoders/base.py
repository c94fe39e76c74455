"""`Encoder`: text to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crossaisle.data.history import Floats


class Encoder(Protocol):
    """Turns texts into vectors; the same text always gives the same vector."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever a vector could change; part of the cache key."""
        ...

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        ...
