"""`Column`: numbers that come part by part, in memory while few, in a mapped file once many.

The files have no name: nothing is left behind, however the process ends. They lie where temporary files do
(TMPDIR), and their pages stay in memory only as long as nothing else needs it.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from crossaisle.errors import DataError

BLOCK = 1 << 16
"""Numbers worked on at a time where all would not fit in memory."""


class Column:
    """One column of events."""

    def __init__(self, in_memory: int) -> None:
        """`in_memory`: numbers up to which there is no file."""
        self._in_memory, self._length = in_memory, 0
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._dtype: np.dtype[Any] | None = None

    def add(self, values: np.ndarray) -> None:
        """More numbers, of the same type as those before."""
        self._parts.append(values)
        self._dtype = self._dtype or values.dtype
        self._length += len(values)
        if self._length > self._in_memory:
            if self._file is None:
                self._file = _nameless()
                weakref.finalize(self, self._file.close)  # where an import ends in an error
            with _room():
                for part in self._parts:
                    self._file.write(np.ascontiguousarray(part, self._dtype).data)
                self._file.flush()
            self._parts = []

    def finish(self) -> np.ndarray:
        """All of them: an array in memory, or one that is mapped and may be written to."""
        if self._file is None or self._dtype is None:
            parts, self._parts = self._parts, []
            return np.concatenate(parts) if parts else np.empty(0, self._dtype or np.int32)
        return _mapped(self._file, self._dtype, self._length)


def _nameless() -> IO[bytes]:
    with _room():
        return tempfile.TemporaryFile()  # closed when its map is given up


@contextmanager
def _room(file: IO[bytes] | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if file is not None:
            file.close()
        raise DataError(
            f"the events fit neither in memory nor in temporary files ({error.strerror or error}): "
            "set TMPDIR to a folder on a larger disk, with about 100 bytes an event",
            file=tempfile.gettempdir(),
        ) from error


def _mapped(file: IO[bytes], dtype: np.dtype[Any], n: int) -> np.ndarray:
    with file:  # the map outlives it
        return np.asarray(np.memmap(file, dtype, "r+", shape=(n,)))


def filled(n: int, value: float, dtype: npt.DTypeLike, in_memory: int) -> np.ndarray:
    """One number `n` times."""
    out = blank(n, np.dtype(dtype), in_memory)
    for part in blocks(n):
        out[part] = value
    return out


def blank(n: int, dtype: np.dtype[Any], in_memory: int) -> np.ndarray:
    """Room for `n` numbers, which are not set: in memory, or mapped where they are many."""
    if n <= in_memory:
        return np.empty(n, dtype)
    file = _nameless()
    with _room(file):
        if hasattr(os, "posix_fallocate"):  # where a full disk is an error; in a map it ends the process
            os.posix_fallocate(file.fileno(), 0, n * dtype.itemsize)
        else:
            file.truncate(n * dtype.itemsize)
    return _mapped(file, dtype, n)


def replaced(codes: np.ndarray, table: np.ndarray, in_memory: int) -> np.ndarray:
    """`table[codes]`; of many codes, in their place where the type is the same."""
    if len(codes) <= in_memory:
        out: np.ndarray = table[codes]
        return out
    out = codes if table.dtype == codes.dtype else blank(len(codes), table.dtype, in_memory)
    for part in blocks(len(codes)):
        out[part] = table[codes[part]]
    return out


def blocks(n: int) -> Iterator[slice]:
    """Slices of `BLOCK` numbers up to `n`."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))
