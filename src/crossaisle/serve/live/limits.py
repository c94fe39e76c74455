"""`LiveLimits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """Nothing to set yet."""
