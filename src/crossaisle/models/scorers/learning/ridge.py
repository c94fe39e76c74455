"""Ridge regressions between items: all at once where they are few, else each on its own neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
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
_FEW = 4
"""Where at most one in so many columns is asked for, it is one in so many of these items."""
_ENTRIES = 2_000_000
"""Of the other items' rows, looked through at once: 60 MB."""
_AT_ONCE = 64
"""Regressions solved at once at most."""
_EPS = np.finfo(np.float32).eps

Ints = npt.NDArray[np.integer]


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
    return ConfigError(f"ridge: {ridge:g} is too small for the item-item matrix of this shop: raise it")


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
    # For a few columns a large table of products would take as long as it saves.
    systems = _Systems(gram, threads, _HUBS if _FEW * len(asked) > n else _HUBS // _FEW)
    # Items with about as many neighbours are solved together: little padding.
    order = np.argsort(np.diff(targets.indptr), kind="stable")
    portions = systems.blocks(order, np.minimum(np.diff(targets.indptr)[order], neighbours))
    solve = partial(_solved, systems, targets, strength, ridge, neighbours)
    with ThreadPoolExecutor(threads) as pool:
        solved = list(map(solve, portions) if threads == 1 else pool.map(solve, list(portions)[::-1]))
    del systems, targets, solve
    rows, places, values = (np.concatenate(part) for part in zip(_NOTHING, *solved, strict=True))
    del solved
    return sparse.csr_matrix((values, (rows, asked.astype(np.int32)[places])), shape=(n, n), dtype=np.float32)


def _columns(matrix: sparse.csr_matrix, asked: Ints) -> sparse.csr_matrix:
    """csr (len(asked), n): some columns, ascending, as rows."""
    if len(asked) == matrix.shape[1]:
        return matrix.T.tocsr()
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
    if not sizes.any():
        return _NOTHING
    owner = np.repeat(np.arange(len(items)), sizes)
    source, right = (np.concatenate(part) for part in zip(*chosen, strict=True))
    # The busiest first: their products with each other are one corner of the system.
    order = np.argsort(owner * np.int64(len(systems.number)) + systems.number.take(source))
    source, right = source.take(order), right.take(order)
    left = systems.of(owner, source, sizes)
    starts = np.cumsum(sizes) - sizes
    try:
        found = [
            _solution(one, right[start : start + len(one)], ridge)
            for one, start in zip(left, starts.tolist(), strict=True)
        ]
    except np.linalg.LinAlgError:
        raise _too_little(ridge) from None
    return source, items[owner], np.concatenate(found)


def _solution(left: Floats, right: Floats, ridge: float) -> Floats:
    """float32 (m,): of (left + ridge I) x = right, symmetric, by Cholesky; `left` is overwritten.

    A third of the time of a general solution, which is left for matrices that rounding has spoiled.
    """
    if not len(right):  # LAPACK refuses a matrix without rows
        return right
    diagonal = left.diagonal() + np.float32(ridge)
    np.fill_diagonal(left, diagonal)
    _, found, failed = linalg.lapack.sposv(left.T, right, lower=1, overwrite_a=1)
    if failed or (left.diagonal() ** 2 <= len(left) * _EPS * diagonal).any():
        below = np.tril(left, -1)  # LAPACK wrote above it
        found = np.linalg.solve(below + below.T + np.diag(diagonal), right)
    solution: Floats = found
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

    def __init__(self, gram: sparse.csr_matrix, threads: int, hubs: int) -> None:
        """`hubs`: items whose products with each other are held dense."""
        n, lengths = gram.shape[0], np.diff(gram.indptr)
        order = np.argsort(-lengths, kind="stable")
        self.number = np.empty(n, np.int32)
        """int32 (n,): 0 for the item with the longest row, which was with most others."""
        self.number[order] = np.arange(n, dtype=np.int32)
        self.hubs = min(hubs, n)
        busiest = order[: self.hubs]
        self.dense: Floats = gram[busiest][:, busiest].toarray().ravel()
        starts = np.flatnonzero(np.diff(gram.indptr[:-1] // _ENTRIES)) + 1
        self.others = sparse.vstack(
            [self._shorter(gram, start, end) for start, end in pairwise([0, *starts.tolist(), n])],
            format="csr",
        )
        self.typical = self.others.nnz / max(n - self.hubs, 1)
        # Made once, one for each thread, and emptied by what was put in: filled anew for each portion they
        # would cost n^2 in all.
        self._free: SimpleQueue[npt.NDArray[np.int32]] = SimpleQueue()
        for _ in range(threads):
            self._free.put(np.full(_AT_ONCE * n, -1, np.int32))

    def _shorter(self, gram: sparse.csr_matrix, start: int, end: int) -> sparse.csr_matrix:
        """csr (end - start, n): of some rows the products with items of longer rows.

        Of two items the one with the shorter row has their product: half of all, and no row is long then.
        Those of two hubs are dense already.
        """
        indptr = gram.indptr[start : end + 1]
        part = slice(indptr[0], indptr[-1])
        mine = np.repeat(self.number[start:end], np.diff(indptr))
        kept = np.flatnonzero((self.number.take(gram.indices[part]) <= mine) & (mine >= self.hubs))
        own = np.searchsorted(kept, indptr - indptr[0]).astype(indptr.dtype)
        triple = gram.data[part].take(kept), gram.indices[part].take(kept), own
        return sparse.csr_matrix(triple, shape=(end - start, gram.shape[1]))

    def blocks(self, items: Ints, sizes: Ints) -> Iterator[Ints]:
        """Items in portions that fit into memory; `sizes`: of their neighbourhoods, ascending."""
        start = 0
        while start < len(items):
            size = int(sizes[min(start + _AT_ONCE, len(items)) - 1])
            stop = start + max(1, min(_AT_ONCE, int(_ENTRIES / max(size * self.typical, 1.0))))
            yield items[start:stop]
            start = stop

    def of(self, owner: Ints, item: Ints, sizes: Ints) -> list[Floats]:
        """float32 (m, m) for each owner: the products of its m items with each other.

        `owner`, ascending, and `item` (m of all owners,), those of an owner by `number`; `sizes`: m of each.
        `take` throughout: it costs half of what indexing costs, and lets other threads work.
        """
        ends, areas = np.cumsum(sizes), sizes * sizes
        first = np.cumsum(areas) - areas
        place = np.arange(len(owner)) - np.repeat(ends - sizes, sizes)
        out = np.zeros(int(areas.sum()), np.float32)
        left = [
            out[start : start + size * size].reshape(size, size)
            for start, size in zip(first.tolist(), sizes.tolist(), strict=True)
        ]
        number = self.number.take(item)
        busy = np.bincount(owner[number < self.hubs], minlength=len(sizes))
        for one, start, count in zip(left, (ends - sizes).tolist(), busy.tolist(), strict=True):
            own = number[start : start + count].astype(np.int64)
            one[:count, :count] = self.dense.take(own[:, None] * self.hubs + own)
        short = np.flatnonzero(number >= self.hubs)
        rows = self.others[item.take(short)]
        lengths = np.diff(rows.indptr)
        n = np.int64(len(self.number))
        cell = np.repeat(owner.take(short) * n, lengths)
        cell += rows.indices
        where, mine = self._free.get(), owner * n + item
        where[mine] = place
        column = where.take(cell)
        where[mine] = -1
        self._free.put(where)
        there = np.flatnonzero(column >= 0)
        at = short.take(np.searchsorted(rows.indptr, there, side="right") - 1)
        width, row, column = sizes.take(owner.take(at)), place.take(at), column.take(there)
        corner, value = first.take(owner.take(at)), rows.data.take(there)
        out[corner + row * width + column] = value
        out[corner + column * width + row] = value
        return left
