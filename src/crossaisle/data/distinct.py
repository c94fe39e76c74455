"""Distinct values of sorted keys. `np.unique` uses a hash table instead, which takes several times as
long."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def run_starts(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """bool (n,): where a run of equal keys starts. Several arrays (n,) form one composite key."""
    first = np.ones(len(keys[0]), bool)
    if len(first):
        first[1:] = False
        for key in keys:
            first[1:] |= key[1:] != key[:-1]
    return first


def distinct(keys: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The distinct keys of (n,), ascending; and int64 (n,): the index of each key among them."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = run_starts(ordered)
    place = np.empty(len(keys), np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place
