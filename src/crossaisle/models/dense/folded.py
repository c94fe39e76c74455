"""`FoldedQueries`: the sum of the vectors of a history's items, kept for each person.

One more click changes the weight of one item: its vector is added, those of the others are not read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.data.vocabulary import Rows

KEPT = 4096
"""People."""
CHANGES = 50
"""After so many sums on top of each other a vector is made anew: each rounds a little."""


@dataclass(frozen=True)
class _Kept:
    items: Rows
    """int32 (m,), ascending."""
    weights: Floats
    """float32 (m,)"""
    vector: Floats
    """float32 (d,)"""
    changes: int


class FoldedQueries:
    """`weights @ vectors` for people who come again. Safe between threads: what is kept is replaced whole."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}
        self._gone: set[int] = set()

    def of(self, users: Rows, query: ItemWeights, vectors: Floats) -> Floats:
        """float32 (n, d): the weights of items of n histories times float32 (n_items, d).

        `users` int32 (n,): whose each row is; -1 for a session.
        """
        out = np.empty((len(query), vectors.shape[1]), np.float32)
        for at, user in enumerate(users.tolist()):
            items, weights = query.of(at)
            kept = self._kept.get(user)
            more = None if kept is None else _added(kept, items, weights)
            if kept is None or more is None:
                out[at] = weights @ vectors.take(items, axis=0)
                self._keep(user, items, weights, out[at], 0)
                continue
            changed, by = more
            out[at] = kept.vector
            if len(changed):
                out[at] += by @ vectors[changed]
                self._keep(user, items, weights, out[at], kept.changes + 1)
        return out

    def forget(self, users: Iterable[int]) -> None:
        """Keeps nothing of some people from now on."""
        for user in users:
            self._gone.add(user)
            self._kept.pop(user, None)

    def _keep(self, user: int, items: Rows, weights: Floats, vector: Floats, changes: int) -> None:
        if user < 0 or not len(items):
            return
        self._kept.pop(user, None)
        self._kept[user] = _Kept(items.copy(), weights.copy(), vector.copy(), changes)
        if user in self._gone:  # since the sum was begun
            self._kept.pop(user, None)
        while len(self._kept) > KEPT:
            try:
                del self._kept[next(iter(self._kept))]
            except (KeyError, RuntimeError, StopIteration):  # another thread was faster
                break


def _added(kept: _Kept, items: Rows, weights: Floats) -> tuple[npt.NDArray[np.int32], Floats] | None:
    """Items whose weights differ from what is kept, and by how much; None where a new sum is better."""
    if kept.changes >= CHANGES or len(items) < len(kept.items):
        return None
    place = np.minimum(np.searchsorted(kept.items, items), len(kept.items) - 1)
    same = kept.items[place] == items
    if int(same.sum()) < len(kept.items):
        return None  # something has left the history
    by = weights - np.where(same, kept.weights[place], np.float32(0.0))
    changed = np.flatnonzero(by)
    return None if 4 * len(changed) > len(items) else (items[changed], by[changed])
