"""`StoreLimits`: times and sizes of a store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StoreLimits:
    """Limits of one store; the defaults are for a service."""

    rows_at_once: int = 10_000
    """Rows that are read at once from a table that is read as a whole."""
    packed_events: int = 20_000
    """Events that are packed at once: a start reads packs, and the fewer that came later one by one."""
    tasks_per_commit: int = 256
    """At most this many waiting writes share one commit."""
    waiting_writes: int = 4096
    """Writes that may wait; more are refused, so that a slow disk does not fill the memory."""
    turn_seconds: float = 4.5
    """Seconds that another process may hold the store before writes that wait are refused."""
    begin_seconds: float = 1.0
    """Seconds that a write may wait to begin before the store counts as failing."""
    calm_seconds: float = 1.0
    """Seconds without a failure before a successful write counts as recovery."""
    pulse_seconds: float | None = None
    """Seconds between two checks of the store while nobody writes; None for the engine's own: 1.0
    (SQLite) or 0.5 (PostgreSQL)."""

    # Deletions

    clean_seconds: float = 5.0
    """Seconds after which whoever asked for a cleaning is told that it is not done yet; it goes on."""
    clean_pause_seconds: float = 0.05
    """Seconds between two tries to clean while somebody reads."""

    # Keys

    fresh_key_seconds: float = 2.0
    """Seconds after which a revoked key is refused at the latest."""
    key_wait_seconds: float = 1.0
    """Seconds that a request waits for keys to be read again; then the known ones stay valid."""

    # One service at a time

    hold_seconds: float = 2.0
    """Seconds that a new service waits for the store: workers of one that was killed hold it for a moment."""

    # SQLite

    busy_ms: int = 5000
    """Milliseconds that another process may write while the file is opened."""
    turn_ms: int = 1000
    """Milliseconds after which the writer says that it waits, and tries again."""
    examined_bytes: int = 64_000_000
    """Bytes of a file that is examined before it is served (about half a second), and again when it was
    written to; a larger one is examined once, while it is served."""
    examine_seconds: float = 1.0
    """Least seconds between two examinations."""
    examine_share: float = 20.0
    """Pause between two examinations as a multiple of the time that the last one took."""

    # PostgreSQL

    connect_seconds: int = 2
    """Seconds for a connection to be made."""
    lost_ms: int = 5000
    """Milliseconds after which a server that acknowledges nothing is taken for lost."""
    stuck_ms: int = 5000
    """Milliseconds that a writer may be silent within a transaction: the server then undoes it, so that the
    other hosts can write."""
