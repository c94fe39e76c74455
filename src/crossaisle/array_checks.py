"""Checks of arrays loaded from disk, so that no computation reads out of bounds or works on NaN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crossaisle.errors import ArtifactError

PIECE = 1 << 20
"""Array elements checked per chunk."""


def check_numbers(file: Path, gaps: bool) -> None:
    """Raises `ArtifactError` if a `.npy` file holds infinite numbers, or NaN unless `gaps` allows it."""
    for part in _pieces(file):
        if (np.isinf(part) if gaps else ~np.isfinite(part)).any():
            what = "infinite numbers" if gaps else "NaN or infinite numbers"
            raise ArtifactError(f"{file}: damaged: holds {what}; restore it or fit again")


def check_matrix(file: Path, starts: np.ndarray, shape: np.ndarray, entries: int) -> None:
    """Raises `ArtifactError` if the column indices in a `.npy` file exceed the bounds of their csr matrix,
    which scipy does not check.

    `starts`: the matrix's indptr; `shape` (2,); `entries`: its number of stored values.
    """
    rows, columns = shape.tolist()
    good = len(starts) == rows + 1 and starts[0] == 0 and starts[-1] == entries
    good = good and bool((np.diff(starts) >= 0).all())
    if not good or any(part.min() < 0 or part.max() >= columns for part in _pieces(file)):
        raise ArtifactError(f"{file}: damaged: has indices outside its matrix; restore it or fit again")


def _pieces(file: Path) -> Iterator[np.ndarray]:
    """Reads an array in chunks, so that checking a memory-mapped array does not load all of it into
    memory."""
    with open(file, "rb") as handle:
        old = np.lib.format.read_magic(handle) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        _, _, kind = header(handle)
        while len(part := np.fromfile(handle, kind, PIECE)):
            yield part
