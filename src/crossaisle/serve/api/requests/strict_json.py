"""`parse`: the only JSON parser of the API. It knows what a body would cost before it builds anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from crossaisle.errors import DataError
from crossaisle.serve.limits.api import DEFAULT, ApiLimits

_MARKS = b'[]{},"'
_OTHERS = bytes(set(range(256)) - set(_MARKS))


def parse(content: bytes, limits: ApiLimits = DEFAULT) -> Any:
    """JSON as in RFC 8259: UTF-8, no NaN, no infinite number, no half of a surrogate pair.

    Of a name that occurs twice in an object the last value counts. Raises `DataError` for anything else, for
    more than `limits.json_values` values and for more than `limits.json_depth` levels.
    """
    if _opened(content) > limits.json_depth or content.count(b",") >= limits.json_values:
        _check(content, limits)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not JSON ({str(error)[:100]})") from None


def _opened(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{")


def _check(content: bytes, limits: ApiLimits) -> None:
    """Counts the characters that structure a document, at first also those within strings."""
    marks = content.translate(None, _OTHERS)
    if _fits(marks, limits):
        return
    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
        marks = content.translate(None, _OTHERS)
    marks = _outside_strings(marks, limits.json_scan_bytes)
    if _elements(marks) > limits.json_values:
        raise DataError(f"a body holds at most {limits.json_values:,} values: send several requests")
    if not _fits(marks, limits):
        raise DataError(f"lists and objects may be nested at most {limits.json_depth} levels deep")


def _elements(marks: bytes) -> int:
    return marks.count(b",") + _opened(marks)


def _fits(marks: bytes, limits: ApiLimits) -> bool:
    if _elements(marks) > limits.json_values:
        return False
    left = marks.translate(None, b',"')
    for _ in range(limits.json_depth):
        if not left:
            return True
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    return not left


def _outside_strings(marks: bytes, size: int) -> bytes:
    """Those outside of strings, scanned `size` bytes at a time; escapes were taken out before."""
    found, within = [], 0
    for start in range(0, len(marks), size):
        part = np.frombuffer(marks, np.uint8, count=min(size, len(marks) - start), offset=start)
        quotes = part == ord('"')
        inside = np.add.accumulate(quotes, dtype=np.uint8) + np.uint8(within) & 1
        found.append(part[(inside == 0) & ~quotes].tobytes())
        within = int(inside[-1])
    return b"".join(found)
