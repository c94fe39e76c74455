"""`ReadLimits`: how much of a file is read at once, and when a file is given up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """Limits of reading one table. The defaults suit shops of any size on a small machine."""

    batch: int = 1 << 18
    """Rows per batch of parquet files and frames."""
    csv_block: int = 1 << 24
    """Bytes per batch of a CSV file; a longer row or line is an error, most likely an unclosed quote."""
    json_batch: int = 1 << 15
    """Rows per batch of a JSON Lines file."""
    json_head: int = 1_000
    """Lines of a JSON Lines file whose keys tell which columns there are."""
    json_array: int = 256 << 20
    """Characters of a file that is one JSON array, which is read whole."""
    events_in_memory: int = 1 << 24
    """Events whose columns are held in memory: those of more lie in temporary files that are mapped."""
    joined: int = 50_000_000
    """Rows of a table that is joined, which is held in memory."""
    listed: int = 1_000_000
    """Rows taken out by a filter that are listed one by one; all are counted."""
    growth: int = 200
    """A packed file of a table may unpack to this many times its size; usual are 5 to 20 times."""
    unpacked: int = 100_000_000
    """Bytes that any packed file may unpack to, however small it is."""


READ_LIMITS = ReadLimits()
