"""`ApiLimits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ApiLimits:
    """Limits of the HTTP API."""

    body_seconds: float = 20.0
    """Seconds that the service waits for the next part of a body."""
    reopen_seconds: float = 30.0
    """Seconds until a shop that could not be opened is tried again."""
