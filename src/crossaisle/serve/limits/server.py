"""`ServerLimits`: how long clients are waited for, and how much of them is held."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """Timeouts and sizes of connections and processes."""

    head_seconds: float = 10.0
    """A connection that does not send the head of a request within this time is closed."""
    unread_seconds: float = 20.0
    """A connection whose answer is not read for this long is closed."""
    min_read_rate: int = 10_000
    """Bytes per second; a client that reads at least so fast is waited for."""
    check_seconds: float = 2.5
    """How often a connection is checked, so it may be closed this much later."""
    max_unread: int = 64_000_000
    """Bytes of unread answers, of all connections; beyond, those unread for longest are closed."""
    max_connections: int | None = None
    """Connections at once; more are answered with 503. None: as many as the process may have open files,
    less `reserved_files`."""
    reserved_files: int = 256
    """Open files that are kept for the store, models and scripts."""
    max_head: int = 65_536
    """Bytes of a request's head, its address included. Trailers count, too."""
    max_head_lines: int = 100
    """Lines of a request's head."""
    max_pipelined: int = 100
    """Requests that one connection may have waiting before no more of it is read."""
    backlog: int = 4096
    """Connections that may wait to be accepted."""
    polite_seconds: float = 0.002
    """A new connection is left to workers with fewer of them for this time."""
    grace_seconds: int = 20
    """Requests under way have this time to finish after the service is told to stop."""
    hurry_seconds: float = 10.0
    """The same for answers that nobody reads, and for bodies that are not complete."""
    last_seconds: float = 25.0
    """A process ends at the latest this long after it is told to, whatever is under way."""
    port_seconds: float = 2.0
    """How long a port that is taken is tried: workers of a killed supervisor hold it for a moment."""
    max_restart_seconds: float = 30.0
    """The longest pause before a worker that does not come up is restarted."""
    reopen_seconds: float = 30.0
    """Stores that could not be opened are tried again after this time."""
