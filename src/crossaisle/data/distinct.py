"""Equal keys that stand side by side. `np.unique` finds them by a hash table, in several times the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def run_starts(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """bool (n,): where a run of equal keys begins. Several arrays (n,) are one key together."""
    first = np.ones(len(keys[0]), bool)
    if len(first):
        first[1:] = False
        for key in keys:
            first[1:] |= key[1:] != key[:-1]
    return first


def distinct(keys: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Keys (n,) once each, ascending, and int64 (n,): where among these each of them is."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = run_starts(ordered)
    place = np.empty(len(keys), np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place
