"""`batches`: splits cases into batches whose scores of all items stay small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

CELLS = 8_000_000
"""Cases times items that are scored at once at most: 32 MB for each array of scores. Up to that size the
allocator keeps memory for the next batch instead of handing it back and clearing it anew."""


def batches(n: int, n_items: int, most: int) -> Iterator[npt.NDArray[np.int64]]:
    """int64: rows 0 to n - 1 in batches of at most `most`, and of `CELLS` // `n_items` in large shops."""
    size = max(1, min(most, CELLS // max(n_items, 1)))
    return (np.arange(start, min(start + size, n)) for start in range(0, n, size))
