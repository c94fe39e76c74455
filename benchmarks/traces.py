"""Random texts that can be searched for in files, whole or in part."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

DIGITS, PIECE = 24, 12
"""Hexadecimal digits in a text, and how many in a row count as a trace of it."""
_RUN = re.compile(rb"[0-9a-f]{%d,}" % PIECE)


def digits() -> str:
    """Random digits, so long that half of them occur only where they were written.

    Numbered keys will not do. When SQLite splits a page, copies of rows that still exist stay in the gap and
    are overwritten from one end: what is left of `...-12` looks like a deleted `...-1`.
    """
    return secrets.token_hex(DIGITS // 2)


def pieces_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Every piece long enough to be a trace, and where it starts."""
    for run in _RUN.finditer(content):
        for at in range(run.start(), run.end() - PIECE + 1):
            yield at, content[at : at + PIECE]
