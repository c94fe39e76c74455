"""`ServingLimits`: sizes, timeouts and intervals of the service, wing by wing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits


@dataclass(frozen=True, kw_only=True)
class ServingLimits:
    """Everything that may be set, with defaults for one machine that serves one to a few shops."""

    live: LiveLimits = LiveLimits()
    """Lists, live histories and pictures."""
    api: ApiLimits = ApiLimits()
    """Requests, keys and shops that could not be opened."""
    store: StoreLimits = StoreLimits()
    """The store and its writer."""
    server: ServerLimits = ServerLimits()
    """Connections and processes."""
    workers: WorkerLimits = WorkerLimits()
    """Workers that share a store."""

    @classmethod
    def of(cls, values: Mapping[str, Mapping[str, Any]]) -> ServingLimits:
        """From what `dataclasses.asdict` made of it: workers are told as JSON."""
        wings = get_type_hints(cls)
        return cls(**{field.name: wings[field.name](**values[field.name]) for field in fields(cls)})
