"""Ridge regressions between items: all at once where they are few, else each on its own neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from crossaisle.data.history import Floats
from crossaisle.errors import ConfigError

_BLOCK = 1024
"""Rows of a weight matrix held dense at once."""
_HUBS = 2_000
"""Items with the longest rows, whose products with each other are held dense: 16 MB."""
_ENTRIES = 2_000_000
"""Of the other items' rows, looked through at once: 100 MB."""
_AT_ONCE = 64
"""Regressions solved at once at most."""

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
    return ConfigError(f"ridge: {ridge:g} is too little for the item-item matrix of this shop: raise it")


def ridge_of_neighbours(
    gram: sparse.csr_matrix, together: sparse.csr_matrix, ridge: float, neighbours: int
) -> sparse.csr_matrix:
    """csr float32 (n, n): column j is the ridge regression of item j on its neighbours alone.

    B[S, j] = (G[S, S] + ridge I)^-1 C[S, j], where S are the `neighbours` items with the largest
    |C[i, j]| / sqrt(G[i, i] + ridge), fewer where fewer were ever with it. After fsSLIM (Ning and Karypis,
    ICDM 2011), which chooses the features of SLIM in this way; with a ridge alone each column is one small
    system of equations. Memory grows with the co-occurrences, time with n neighbours^3 at worst.

    `gram`, G, and `together`, C: csr float32 (n, n), G symmetric.
    """
    gram, targets = gram.tocsr(), together.T.tocsr()
    gram.sort_indices()
    n = gram.shape[0]
    strength = (1.0 / np.sqrt(gram.diagonal() + ridge)).astype(np.float32)
    systems = _Systems(gram)
    rows: list[Ints] = [np.empty(0, np.int32)]
    columns: list[Ints] = [np.empty(0, np.int32)]
    values: list[Floats] = [np.empty(0, np.float32)]
    # Items with about as many neighbours are solved together: little padding.
    order = np.argsort(np.diff(targets.indptr), kind="stable")
    for items in systems.blocks(order, np.minimum(np.diff(targets.indptr)[order], neighbours)):
        chosen = [_nearest(targets, item, strength, neighbours) for item in items.tolist()]
        sizes = np.array([len(own) for own, _ in chosen])
        width = int(sizes.max(initial=0))
        if not width:
            continue
        owner = np.repeat(np.arange(len(items)), sizes)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        source = np.concatenate([own for own, _ in chosen])
        right = np.zeros((len(items), width, 1), np.float32)
        right[owner, place, 0] = np.concatenate([value for _, value in chosen])
        left = systems.of(owner, place, source, (len(items), width))
        left[:, np.arange(width), np.arange(width)] += np.float32(ridge)
        try:
            found = np.linalg.solve(left, right)[:, :, 0]
        except np.linalg.LinAlgError:
            raise _too_little(ridge) from None
        rows.append(source)
        columns.append(items[owner])
        values.append(found[owner, place])
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), where), shape=(n, n), dtype=np.float32)


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

    def __init__(self, gram: sparse.csr_matrix) -> None:
        self.gram, self.lengths = gram, np.diff(gram.indptr).astype(np.int64)
        hubs = np.sort(np.argsort(-self.lengths, kind="stable")[:_HUBS])
        self.hub = np.full(gram.shape[0], -1, np.int32)
        self.hub[hubs] = np.arange(len(hubs), dtype=np.int32)
        self.dense: Floats = gram[hubs][:, hubs].toarray()
        others = self.lengths[self.hub < 0]
        self.typical = float(others.mean()) if len(others) else 0.0

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
        there is 0.
        """
        hub = np.full(shape, -1, np.int32)
        hub[owner, place] = self.hub[item]
        out: Floats = self.dense[hub[:, :, None], hub[:, None, :]]
        out[(hub < 0)[:, :, None] | (hub < 0)[:, None, :]] = 0.0
        # Whatever is no product of two hubs stands in the row of an item that is none, and these are short.
        short = self.hub[item] < 0
        owner_of, row_of, item_of = owner[short], place[short], item[short]
        lengths = self.lengths[item_of]
        entry = np.repeat(self.gram.indptr[item_of] - (np.cumsum(lengths) - lengths), lengths)
        entry = entry + np.arange(len(entry))
        where = np.full((shape[0], self.gram.shape[0]), -1, np.int32)
        where[owner, item] = place
        owned = np.repeat(owner_of, lengths)
        column = where[owned, self.gram.indices[entry]]
        there = np.flatnonzero(column >= 0)
        owned, column, value = owned[there], column[there], self.gram.data[entry[there]]
        row = np.repeat(row_of, lengths)[there]
        out[owned, row, column] = value
        out[owned, column, row] = value
        return out
