"""`Column`: numbers added part by part, kept in memory while few, and in a memory-mapped file once many.

The files have no name, so nothing is left behind, however the process ends. They are created in the system's
temporary folder (TMPDIR); the operating system can evict their pages from memory.
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
"""Numbers processed at a time if not all fit in memory."""


class Column:
    """One column of events."""

    def __init__(self, in_memory: int) -> None:
        """`in_memory`: number of values above which a file is used."""
        self._in_memory, self._length = in_memory, 0
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._dtype: np.dtype[Any] | None = None

    def add(self, values: np.ndarray) -> None:
        """Appends numbers of the same type as before."""
        self._parts.append(values)
        self._dtype = self._dtype or values.dtype
        self._length += len(values)
        if self._length > self._in_memory:
            if self._file is None:
                self._file = _nameless()
                weakref.finalize(self, self._file.close)  # in case the import fails
            with _room():
                for part in self._parts:
                    self._file.write(np.ascontiguousarray(part, self._dtype).data)
                self._file.flush()
            self._parts = []

    def finish(self) -> np.ndarray:
        """All numbers: an array in memory, or a writable memory-mapped one."""
        if self._file is None or self._dtype is None:
            parts, self._parts = self._parts, []
            return np.concatenate(parts) if parts else np.empty(0, self._dtype or np.int32)
        return _mapped(self._file, self._dtype, self._length)


def _nameless() -> IO[bytes]:
    with _room():
        return tempfile.TemporaryFile()  # closed together with its map


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
    with file:  # the map stays valid
        return np.asarray(np.memmap(file, dtype, "r+", shape=(n,)))


def filled(n: int, value: float, dtype: npt.DTypeLike, in_memory: int) -> np.ndarray:
    """An array of `n` equal numbers."""
    out = blank(n, np.dtype(dtype), in_memory)
    for part in blocks(n):
        out[part] = value
    return out


def blank(n: int, dtype: np.dtype[Any], in_memory: int) -> np.ndarray:
    """An uninitialised array of `n` numbers: in memory, or memory-mapped if large."""
    if n <= in_memory:
        return np.empty(n, dtype)
    file = _nameless()
    with _room(file):
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, but kills the process in a map
            os.posix_fallocate(file.fileno(), 0, n * dtype.itemsize)
        else:
            file.truncate(n * dtype.itemsize)
    return _mapped(file, dtype, n)


def replaced(codes: np.ndarray, table: np.ndarray, in_memory: int) -> np.ndarray:
    """`table[codes]`; large `codes` are overwritten if the type is the same."""
    if len(codes) <= in_memory:
        out: np.ndarray = table[codes]
        return out
    out = codes if table.dtype == codes.dtype else blank(len(codes), table.dtype, in_memory)
    for part in blocks(len(codes)):
        out[part] = table[codes[part]]
    return out


def blocks(n: int) -> Iterator[slice]:
    """Slices of `BLOCK` numbers that cover `n`."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))
