"""`WorkerLimits`: how often and how long workers that share a store look at each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """Intervals, timeouts and batch sizes of replication."""

    poll_seconds: float = 0.02
    """How often a worker checks for commits of others while it gets no requests."""
    report_seconds: float = 1.0
    """How often it publishes its metrics to the others."""
    max_events_read: int = 2000
    """Events read from the store at once: a large import must not block other requests."""
    read_seconds: float = 1.0
    """Lists are answered from memory if the store does not answer within this time."""
    retry_seconds: float = 0.5
    """The store is not read again for this long after it failed or was too slow."""
    require_seconds: float = 60.0
    """A deletion or change that this worker cannot read back in time is answered with 503; it is kept."""
    follow_seconds: float = 60.0
    """A change that some worker has not applied after this time is answered with 503; it is kept."""
    wait_seconds: float = 0.005
    """How often a worker that waits for others checks whether they are done."""

    # Several hosts

    beat_seconds: float = 1.0
    """How often a process tells the others that it is there."""
    silent_seconds: float = 2.5
    """The store is read before the next answer where the database has not been heard of for this long."""
    lease_seconds: float = 5.0
    """Nobody waits for a process that was not seen for this long."""
    free_seconds: float = 600.0
    """After this long without a sign, its place is given to another one."""
