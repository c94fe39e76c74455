"""`parse`: the one way in which JSON comes in. What it would cost is known before anything is built of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from crossaisle.errors import DataError

ELEMENTS = 500_000
"""Values of one body; 10,000 items with 30 attributes each have about as many."""
DEPTH = 32
"""Lists and objects within each other; no body that the service knows needs more than six."""
_MARKS = b'[]{},"'
_OTHERS = bytes(set(range(256)) - set(_MARKS))
_SLICE = 1 << 20


def parse(content: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, no infinite number, no half of a surrogate pair.

    Of a name that comes twice in an object the last value counts. Raises `DataError` for what is none, for
    more than `ELEMENTS` values and for more than `DEPTH` levels.
    """
    if _opened(content) > DEPTH or content.count(b",") >= ELEMENTS:
        _check(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not JSON ({str(error)[:100]})") from None


def _opened(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{")


def _check(content: bytes) -> None:
    """Looks at the characters that make the form of a document; those within texts look alike at first."""
    marks = content.translate(None, _OTHERS)
    if _fits(marks):
        return
    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
        marks = content.translate(None, _OTHERS)
    marks = _outside(marks)
    if _elements(marks) > ELEMENTS:
        raise DataError(f"a body holds at most {ELEMENTS:,} values: send several requests")
    if not _fits(marks):
        raise DataError(f"lists and objects may lie in each other {DEPTH} times at most")


def _elements(marks: bytes) -> int:
    return marks.count(b",") + _opened(marks)


def _fits(marks: bytes) -> bool:
    if _elements(marks) > ELEMENTS:
        return False
    left = marks.translate(None, b',"')
    for _ in range(DEPTH):
        if not left:
            return True
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    return not left


def _outside(marks: bytes) -> bytes:
    """Those outside of texts; there are no escapes any more."""
    found, within = [], 0
    for start in range(0, len(marks), _SLICE):
        part = np.frombuffer(marks, np.uint8, count=min(_SLICE, len(marks) - start), offset=start)
        quotes = part == ord('"')
        inside = np.add.accumulate(quotes, dtype=np.uint8) + np.uint8(within) & 1
        found.append(part[(inside == 0) & ~quotes].tobytes())
        within = int(inside[-1])
    return b"".join(found)
