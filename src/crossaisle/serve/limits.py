"""`ServingLimits`: the limits of everything that serves, handed to `ShopService.open`."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.serve.live.limits import LiveLimits


@dataclass(frozen=True, kw_only=True)
class ServingLimits:
    """Of one shop in one process."""

    live: LiveLimits = LiveLimits()
    """Of its lists."""
