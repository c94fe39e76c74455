"""`FoldedQueries`: the sum of the vectors of a history's items, kept for each person.

One more click changes the weight of one item: its vector is added, those of the others are not read again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.history import Floats
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

    def of(self, users: Rows, query: sparse.csr_matrix, vectors: Floats) -> Floats:
        """float32 (n, d): csr (n, n_items) with sorted indices times float32 (n_items, d).

        `users` int32 (n,): whose each row is; -1 for a session.
        """
        out = np.empty((query.shape[0], vectors.shape[1]), np.float32)
        fresh: list[int] = []
        for at, user in enumerate(users.tolist()):
            part = slice(query.indptr[at], query.indptr[at + 1])
            kept = self._kept.get(user)
            more = None if kept is None else _added(kept, query.indices[part], query.data[part])
            if kept is None or more is None:
                fresh.append(at)
                continue
            changed, by = more
            out[at] = kept.vector
            if len(changed):
                out[at] += by @ vectors[changed]
                self._keep(user, query, at, out[at], kept.changes + 1)
        if fresh:
            out[fresh] = query[fresh] @ vectors
            for at in fresh:
                self._keep(int(users[at]), query, at, out[at], 0)
        return out

    def _keep(self, user: int, query: sparse.csr_matrix, at: int, vector: Floats, changes: int) -> None:
        part = slice(query.indptr[at], query.indptr[at + 1])
        if user < 0 or part.start == part.stop:
            return
        self._kept.pop(user, None)
        own = query.indices[part].copy(), query.data[part].copy(), vector.copy()
        self._kept[user] = _Kept(*own, changes)
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
