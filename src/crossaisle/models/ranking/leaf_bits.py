"""`LeafBits`: which leaf of every tree rows fall into, all splits at once and without walking.

QuickScorer (Lucchese et al., SIGIR 2015), written for arrays: of each tree the leaves are bits from left to
right; each split that a row passes on its right clears the leaves on its left; the first bit that is left is
the row's leaf. A walk waits for memory and guesses wrong at every split; this compares a split of all trees
with many rows in one instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats

MOST_LEAVES = 64
"""Bits of the largest whole number that numpy has."""
BLOCK = 256
"""Rows at once: what is in between stays in the cache."""
_TINY = np.float32(1e-35)
"""LightGBM takes numbers up to this for 0."""
_LARGEST = np.finfo(np.float32).max
_DEFAULT_LEFT, _ZERO_IS_MISSING, _NAN_IS_MISSING = 2, 4, 8
"""Bits of LightGBM's `decision_type`."""
_KINDS = 5
"""Of columns: NaN is 0; NaN goes left, goes right; NaN and 0 go left, go right."""

_REALS = {
    2: (np.int32, np.float32, 23, 127),
    4: (np.int32, np.float32, 23, 127),
    8: (np.int64, np.float64, 52, 1023),
}
"""Bytes of a tree's bits -> numbers that hold any of its bits exactly, and where their exponent is."""
Columns = npt.NDArray[np.float32]
Bits = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class LeafBits:
    """An ensemble of T trees with at most S splits each; trees with fewer have splits that nothing passes."""

    column: npt.NDArray[np.intp]
    """intp (S, T): the feature times `_KINDS`, and how what is missing is read."""
    threshold: Columns
    """float32 (S, T): what is larger goes right."""
    lefts: Bits
    """Unsigned (S, T): the leaves on the left of each split."""
    values: npt.NDArray[np.float64]
    """float64 (T * leaves,): of each leaf from left to right, tree after tree."""
    leaves: int
    """Bits of a tree."""

    @classmethod
    def read(cls, text: str) -> LeafBits | None:
        """Out of a text that `canonical` wrote; None where a tree has too many leaves."""
        trees = [_lines(block) for block in text.split("\nTree=")[1:]]
        most = max(int(tree["num_leaves"]) for tree in trees)
        if most > MOST_LEAVES:
            return None
        kind = next(kind for kind in (np.uint16, np.uint32, np.uint64) if most <= 8 * kind().itemsize)
        leaves, splits = 8 * kind().itemsize, max(most - 1, 1)
        column = np.zeros((splits, len(trees)), np.intp)
        threshold = np.full((splits, len(trees)), _LARGEST, np.float32)
        lefts = np.zeros((splits, len(trees)), kind)
        values = np.zeros((len(trees), leaves))
        for at, tree in enumerate(trees):
            n = int(tree["num_leaves"]) - 1
            left, right = (np.array(tree[side].split(), int) for side in ("left_child", "right_child"))
            order, below = _from_left(left.tolist(), right.tolist())
            values[at, : n + 1] = np.array(tree["leaf_value"].split(), np.float64)[order]
            lefts[:n, at] = np.array(below, kind)
            feature, decision = (
                np.array(tree[name].split(), int) for name in ("split_feature", "decision_type")
            )
            column[:n, at] = feature * _KINDS + _kind(decision)
            threshold[:n, at] = _rounded_down(np.array(tree["threshold"].split(), np.float64))
        return cls(column, threshold, lefts, values.ravel(), leaves)

    def predict(self, features: Floats) -> npt.NDArray[np.float64]:
        """float64 (m,): sums over the trees, in their order, for float32 (m, f)."""
        used, place = self._used
        columns = _columns(features, used)
        out = np.empty(len(features))
        for start in range(0, len(features), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = self._sums(np.ascontiguousarray(columns[:, part]), place)
        return out

    def _sums(self, columns: Columns, place: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        kind = self.lefts.dtype
        gone = np.zeros((place.shape[1], columns.shape[1]), kind)
        for of, threshold, lefts in zip(place, self.threshold, self.lefts, strict=True):
            right = columns.take(of, axis=0) > threshold[:, None]
            gone |= np.multiply(right.view(np.uint8), lefts[:, None], dtype=kind)
        # The lowest bit that is left, as a power of two; how high it is stands in its exponent.
        lowest = ~gone & (gone + kind.type(1))
        whole, real, width, bias = _REALS[kind.itemsize]
        leaf = (lowest.astype(real).view(whole) >> width) + self._first[:, None] - bias
        sums: npt.NDArray[np.float64] = np.add.reduce(self.values.take(leaf), axis=0)
        return sums

    @cached_property
    def _used(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """intp: each of `column` once, and intp (S, T): where it stands there."""
        used, place = np.unique(self.column, return_inverse=True)
        return used, place.reshape(self.column.shape)

    @cached_property
    def _first(self) -> npt.NDArray[np.int32]:
        """int32 (T,): the place of each tree's first leaf in `values`."""
        return np.arange(0, len(self.values), self.leaves, dtype=np.int32)


def _lines(block: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in block.split("\n"))
    return {name: value for name, _, value in pairs}


def _from_left(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """Leaves from left to right; for each split the leaves on its left, as bits in that order."""
    order: list[int] = []
    below = [0] * len(left)
    todo: list[tuple[int, bool]] = [(0 if left else ~0, False)]
    first: dict[int, int] = {}
    while todo:
        node, back = todo.pop()
        if node < 0:
            order.append(~node)
        elif back:
            below[node] = (1 << len(order)) - (1 << first[node])
        else:
            first[node] = len(order)
            todo += [(right[node], False), (node, True), (left[node], False)]
    return order, below


def _kind(decision: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    goes_right = np.where(decision & _DEFAULT_LEFT, 0, 1)
    missing = np.where(decision & _NAN_IS_MISSING, 1, 3) + goes_right
    return np.where(decision & (_NAN_IS_MISSING | _ZERO_IS_MISSING), missing, 0)


def _rounded_down(threshold: npt.NDArray[np.float64]) -> Columns:
    """float32: the same features are above it. What is known never is above infinity."""
    near = np.clip(threshold, -_LARGEST, _LARGEST).astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _columns(features: Floats, used: npt.NDArray[np.intp]) -> Columns:
    """float32 (len(used), m): features as splits read them; what is missing is above or below all."""
    feature, kind = np.divmod(used, _KINDS)
    values = features.T[feature]
    np.minimum(values, _LARGEST, out=values)  # NaN stays
    missing = np.isnan(values)
    if (zero := kind > 2).any():
        with np.errstate(invalid="ignore"):
            missing |= (np.abs(values) <= _TINY) & zero[:, None]
    instead = np.array([0.0, -np.inf, np.inf, -np.inf, np.inf], np.float32)[kind]
    np.copyto(values, instead[:, None], where=missing)
    return values
