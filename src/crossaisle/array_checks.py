"""What saved arrays must hold, so that nothing that calculates with them reads where it may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crossaisle.errors import ArtifactError

PIECE = 1 << 20
"""Numbers checked at a time."""


def check_numbers(file: Path, gaps: bool) -> None:
    """`ArtifactError` where a `.npy` file holds infinite numbers, or NaN where there may be no `gaps`."""
    for part in _pieces(file):
        if (np.isinf(part) if gaps else ~np.isfinite(part)).any():
            what = "infinite numbers" if gaps else "NaN or infinite numbers"
            raise ArtifactError(f"{file}: damaged: holds {what}; restore it or fit again")


def check_matrix(file: Path, starts: np.ndarray, shape: np.ndarray, entries: int) -> None:
    """`ArtifactError` where column numbers in a `.npy` file point out of their csr matrix: scipy reads
    wherever they point. `starts`: its indptr; `shape` (2,): of the matrix."""
    rows, columns = shape.tolist()
    good = len(starts) == rows + 1 and starts[0] == 0 and starts[-1] == entries
    good = good and bool((np.diff(starts) >= 0).all())
    if not good or any(part.min() < 0 or part.max() >= columns for part in _pieces(file)):
        raise ArtifactError(f"{file}: damaged: has indices outside its matrix; restore it or fit again")


def _pieces(file: Path) -> Iterator[np.ndarray]:
    """An array bit by bit: what is memory-mapped is not read into memory whole to be checked."""
    with open(file, "rb") as handle:
        old = np.lib.format.read_magic(handle) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        _, _, kind = header(handle)
        while len(part := np.fromfile(handle, kind, PIECE)):
            yield part
