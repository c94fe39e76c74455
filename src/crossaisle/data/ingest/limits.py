"""`ReadLimits`: how much of a file is read at once, and when to give up on a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """Limits for reading one table. The defaults suit shops of any size on a small machine."""

    batch: int = 1 << 18
    """Rows per batch of parquet files and frames."""
    csv_block: int = 1 << 24
    """Bytes per batch of a CSV file; a longer row or line is an error, most likely an unclosed quote."""
    json_batch: int = 1 << 15
    """Rows per batch of a JSON Lines file."""
    json_head: int = 1_000
    """Number of lines of a JSON Lines file whose keys determine the columns."""
    json_array: int = 256 << 20
    """Maximum characters of a file that is one JSON array, since it is read as a whole."""
    events_in_memory: int = 1 << 24
    """Maximum number of events held in memory; columns of more are put into memory-mapped temporary files."""
    joined: int = 50_000_000
    """Maximum rows of a joined table, which is held in memory."""
    listed: int = 1_000_000
    """Maximum number of filtered-out rows listed individually; all are counted."""
    growth: int = 200
    """Maximum ratio of unpacked to packed size of a file; 5 to 20 are normal."""
    unpacked: int = 100_000_000
    """Unpacked size in bytes that is always allowed, however small the packed file."""


READ_LIMITS = ReadLimits()
