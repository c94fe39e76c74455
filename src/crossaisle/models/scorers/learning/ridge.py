"""Ridge regressions between items: all at once where they are few, else each on its own neighbours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from crossaisle.data.history import Floats
from crossaisle.errors import ConfigError

_BLOCK = 1024
"""Rows of a weight matrix held dense at once."""
_HUBS = 4_000
"""Items with the longest rows, whose products with each other are held dense: 64 MB."""
_ENTRIES = 2_000_000
"""Of the other items' rows, looked through at once: 100 MB."""
_AT_ONCE = 64
"""Regressions solved at once at most."""

Ints = npt.NDArray[np.integer]


def cores() -> int:
    """Processors that this process may use, at most four: more threads wait for each other here."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 4)


def inverse_of_gram(gram: sparse.csr_matrix, ridge: float) -> Floats:
    """float32 (n, n): (G + ridge I)^-1 by Cholesky, in place, symmetric.

    `ConfigError` where rounding leaves the matrix without one.
    """
    dense: Floats = gram.toarray(order="F").astype(np.float32, copy=False)
    dense[np.diag_indices_from(dense)] += np.float32(ridge)
    if not len(dense):  # LAPACK refuses a matrix without rows
        return dense
    factor, failed = linalg.lapack.spotrf(dense, lower=1, overwrite_a=1, clean=0)
    if failed == 0:
        factor, failed = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise _too_little(ridge)
    # LAPACK filled the lower triangle only.
    for start in range(0, len(factor), _BLOCK):
        stop = start + _BLOCK
        factor[start:stop, stop:] = factor[stop:, start:stop].T
        corner = factor[start:stop, start:stop]
        corner[np.triu_indices_from(corner, 1)] = corner.T[np.triu_indices_from(corner, 1)]
    return factor  # type: ignore[no-any-return]


def _too_little(ridge: float) -> ConfigError:
    return ConfigError(f"ridge: {ridge:g} is too little for the item-item matrix of this shop: raise it")


def ridge_of_neighbours(
    gram: sparse.csr_matrix,
    together: sparse.csr_matrix,
    ridge: float,
    neighbours: int,
    *,
    columns: Ints | None = None,
    threads: int = 1,
) -> sparse.csr_matrix:
    """csr float32 (n, n): column j is the ridge regression of item j on its neighbours alone.

    B[S, j] = (G[S, S] + ridge I)^-1 C[S, j], where S are the `neighbours` items with the largest
    |C[i, j]| / sqrt(G[i, i] + ridge), fewer where fewer were ever with it. After fsSLIM (Ning and Karypis,
    ICDM 2011), which chooses the features of SLIM in this way; with a ridge alone each column is one small
    system of equations. Memory grows with the co-occurrences, time with n neighbours^3 at worst.

    `gram`, G, and `together`, C: csr float32 (n, n), G symmetric. `columns`: those to be found, all by
    default; the others of the result are empty.
    """
    gram, n = gram.tocsr(), gram.shape[0]
    gram.sort_indices()
    asked = np.arange(n) if columns is None else np.asarray(columns)
    targets = _columns(together.tocsr(), asked)
    strength = (1.0 / np.sqrt(gram.diagonal() + ridge)).astype(np.float32)
    systems = _Systems(gram, threads)
    # Items with about as many neighbours are solved together: little padding.
    order = np.argsort(np.diff(targets.indptr), kind="stable")
    portions = systems.blocks(order, np.minimum(np.diff(targets.indptr)[order], neighbours))
    solve = partial(_solved, systems, targets, strength, ridge, neighbours)
    with ThreadPoolExecutor(threads) as pool:
        solved = list(map(solve, portions) if threads == 1 else pool.map(solve, list(portions)[::-1]))
    rows, places, values = (np.concatenate(part) for part in zip(_NOTHING, *solved, strict=True))
    return sparse.csr_matrix((values, (rows, asked[places])), shape=(n, n), dtype=np.float32)


def _columns(matrix: sparse.csr_matrix, asked: Ints) -> sparse.csr_matrix:
    """csr (len(asked), n): some columns, as rows."""
    place = np.full(matrix.shape[1], -1, np.int32)
    place[asked] = np.arange(len(asked), dtype=np.int32)
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    into = place.take(matrix.indices)
    there = np.flatnonzero(into >= 0)
    where = (into.take(there), row.take(there))
    return sparse.csr_matrix((matrix.data.take(there), where), shape=(len(asked), matrix.shape[0]))


_Solved = tuple[Ints, Ints, Floats]
_NOTHING: _Solved = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float32))


def _solved(
    systems: _Systems,
    targets: sparse.csr_matrix,
    strength: Floats,
    ridge: float,
    neighbours: int,
    items: Ints,
) -> _Solved:
    """(m,) each: rows, columns (rows of `targets`) and values of the weights of some items."""
    chosen = [_nearest(targets, item, strength, neighbours) for item in items.tolist()]
    sizes = np.array([len(own) for own, _ in chosen])
    width = int(sizes.max(initial=0))
    if not width:
        return _NOTHING
    owner = np.repeat(np.arange(len(items)), sizes)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    source = np.concatenate([own for own, _ in chosen])
    right = np.zeros((len(items), width, 1), np.float32)
    right[owner, place, 0] = np.concatenate([value for _, value in chosen])
    left = systems.of(owner, place, source, (len(items), width))
    left[:, np.arange(width), np.arange(width)] += np.float32(ridge)
    try:
        found = np.stack([_solution(one, known) for one, known in zip(left, right, strict=True)])
    except np.linalg.LinAlgError:
        raise _too_little(ridge) from None
    return source, items[owner], found[owner, place]


def _solution(left: Floats, right: Floats) -> Floats:
    """float32 (m,): of symmetric equations, (m, m) and (m, 1), by Cholesky; `left` is overwritten.

    A third of the time of a general solution, which is left for matrices that rounding has spoiled.
    """
    diagonal = left.diagonal().copy()
    _, found, failed = linalg.lapack.sposv(left.T, right, lower=1, overwrite_a=1)
    noise = np.float32(len(left)) * np.finfo(np.float32).eps * diagonal
    if failed or (left.diagonal() ** 2 <= noise).any():
        below = np.tril(left, -1)  # LAPACK wrote above it
        found = np.linalg.solve(below + below.T + np.diag(diagonal), right)
    solution: Floats = found[:, 0]
    return solution


def _nearest(
    targets: sparse.csr_matrix, item: int, strength: Floats, most: int
) -> tuple[npt.NDArray[np.int32], Floats]:
    """The neighbours of an item, and what is known of them and it."""
    part = slice(targets.indptr[item], targets.indptr[item + 1])
    source, value = targets.indices[part], targets.data[part]
    if len(source) > most:
        best = np.argpartition(np.abs(value) * strength[source], len(source) - most)[-most:]
        source, value = source[best], value[best]
    return source, value


class _Systems:
    """Small dense cut-outs of a large sparse symmetric matrix, many at a time."""

    def __init__(self, gram: sparse.csr_matrix, threads: int) -> None:
        self.gram, self.lengths = gram, np.diff(gram.indptr).astype(np.int64)
        hubs = np.sort(np.argsort(-self.lengths, kind="stable")[:_HUBS])
        self.hub = np.full(gram.shape[0], -1, np.int64)
        self.hub[hubs] = np.arange(len(hubs))
        # A last row and column of zeros, for whatever is no product of two hubs.
        self.side = len(hubs) + 1
        dense = np.zeros((self.side, self.side), np.float32)
        dense[:-1, :-1] = gram[hubs][:, hubs].toarray()
        self.dense: Floats = dense.ravel()
        others = self.lengths[self.hub < 0]
        self.typical = float(others.mean()) if len(others) else 0.0
        # Made once, one for each thread, and emptied by what was put in: filled anew for each portion they
        # would cost n^2 in all.
        self._free: SimpleQueue[npt.NDArray[np.int32]] = SimpleQueue()
        for _ in range(threads):
            self._free.put(np.full(_AT_ONCE * gram.shape[0], -1, np.int32))

    def blocks(self, items: Ints, sizes: Ints) -> Iterator[Ints]:
        """Items in portions that fit into memory; `sizes`: of their neighbourhoods, ascending."""
        start = 0
        while start < len(items):
            size = int(sizes[min(start + _AT_ONCE, len(items)) - 1])
            stop = start + max(1, min(_AT_ONCE, int(_ENTRIES / max(size * self.typical, 1.0))))
            yield items[start:stop]
            start = stop

    def of(self, owner: Ints, place: Ints, item: Ints, shape: tuple[int, int]) -> Floats:
        """float32 (shape[0], shape[1], shape[1]): of each owner the products of its items with each other.

        `owner`, `place`, `item` (m,): an item's row and column in the owner's cut-out. What is left over
        there is 0. `take` throughout: it costs half of what indexing costs, and lets other threads work.
        """
        hub = np.full(shape, self.side - 1, np.int64)
        own = self.hub.take(item)
        short = own < 0
        hub[owner, place] = np.where(short, self.side - 1, own)
        cells = (hub * self.side)[:, :, None] + hub[:, None, :]
        out: Floats = self.dense.take(cells, mode="clip")
        # Whatever is no product of two hubs stands in the row of an item that is none, and these are short.
        owner_of, row_of, item_of = owner[short], place[short], item[short]
        lengths = self.lengths.take(item_of)
        first = np.cumsum(lengths) - lengths
        entry = np.repeat(self.gram.indptr.take(item_of) - first, lengths)
        entry += np.arange(len(entry))
        cell = np.repeat(owner_of * np.int64(len(self.hub)), lengths)
        cell += self.gram.indices.take(entry, mode="clip")
        where, mine = self._free.get(), owner * np.int64(len(self.hub)) + item
        where[mine] = place
        column = where.take(cell, mode="clip")
        where[mine] = -1
        self._free.put(where)
        there = np.flatnonzero(column >= 0)
        at = np.searchsorted(first, there, side="right") - 1
        inside, row, column = owner_of.take(at), row_of.take(at), column.take(there)
        value = self.gram.data.take(entry.take(there))
        out[inside, row, column] = value
        out[inside, column, row] = value
        return out
