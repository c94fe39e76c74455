"""Random texts that can be searched for in files, whole or in part."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

DIGITS, PIECE = 24, 12
"""Hexadecimal digits of a text, and how many of them in a row are a trace of it."""
_RUN = re.compile(rb"[0-9a-f]{%d,}" % PIECE)


def digits() -> str:
    """Random: half of these are found nowhere but where they were written.

    Numbered keys will not do. Where SQLite has split a page, copies of rows that are still there stay in its
    gap and are written over from one end: what is left of `...-12` passes for a deleted `...-1`.
    """
    return secrets.token_hex(DIGITS // 2)


def pieces_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Everything that is long enough for a trace, and where it is."""
    for run in _RUN.finditer(content):
        for at in range(run.start(), run.end() - PIECE + 1):
            yield at, content[at : at + PIECE]
