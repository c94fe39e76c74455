"""Sorts columns of events: in memory, or if they are many, group of users by group through mapped files."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.ingest.spill.columns import blank, blocks
from crossaisle.data.vocabulary import Rows

Positions = npt.NDArray[np.intp]
Columns = dict[str, np.ndarray]


def sorted_by_user(
    columns: Columns, keys: tuple[str, ...], n_users: int, in_memory: int
) -> Mapping[str, np.ndarray]:
    """Columns of events ordered by `user`, then by `keys` from last to first, then by input order.

    Empties `columns`: each is freed once its sorted copy exists; `position` is used only as a key. If there
    are more than `in_memory` events, groups of users are gathered in a file (a distribution sort), and each
    group is sorted there.
    """
    user = columns["user"]
    if len(user) <= in_memory:
        order = _order(user, [columns[key] for key in keys], n_users)
        del user
        columns.pop("position", None)
        return {name: columns.pop(name).take(order) for name in list(columns)}
    counts = np.zeros(n_users, np.int64)
    for part in blocks(len(user)):
        counts += np.bincount(user[part], minlength=n_users)
    ends = np.cumsum(counts)
    # Groups of users whose events together fill the memory; a single user may have more.
    of_user = (np.maximum(ends - counts, 0) // max(in_memory // 2, 1)).astype(np.int32)
    of_user = np.unique(of_user, return_inverse=True)[1].astype(np.int32)
    sizes = np.bincount(of_user, weights=counts).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    gathered = _distributed(columns, of_user, starts[:-1])
    for first, last in pairwise(starts[np.append(True, sizes > 0)].tolist()):
        part = slice(first, last)
        whole = {name: values[part].copy() for name, values in gathered.items()}
        lowest, highest = int(whole["user"].min()), int(whole["user"].max())
        order = _order(whole["user"] - lowest, [whole[key] for key in keys], highest - lowest + 1)
        for name, values in whole.items():
            gathered[name][part] = values[order]
    return gathered


def _distributed(columns: Columns, of_user: np.ndarray, starts: np.ndarray) -> Columns:
    """The columns with events gathered by group of users, in their previous order within each group."""
    n = len(columns["user"])
    group = blank(n, np.dtype(np.int32), 0)
    for part in blocks(n):
        group[part] = of_user[columns["user"][part]]
    out: Columns = {}
    for name in list(columns):
        values, place = columns.pop(name), starts.copy()
        out[name] = blank(n, values.dtype, 0)
        for part in blocks(n):
            here = group[part]
            order = np.argsort(here, kind="stable")
            numbers, sizes = np.unique(here, return_counts=True)
            ends = np.cumsum(sizes)
            block = values[part][order]
            for number, end, size in zip(numbers.tolist(), ends.tolist(), sizes.tolist(), strict=True):
                out[name][place[number] : place[number] + size] = block[end - size : end]
                place[number] += size
    return out


def _order(user: Rows, keys: list[np.ndarray], n_users: int) -> Positions:
    """intp positions that order events by user, then by the keys from last to first, then by input order.

    Grouping by user is a counting sort (a transposed sparse matrix), and logs are mostly ordered by time
    already: far cheaper than sorting millions of rows by several keys.
    """
    first = None
    if any((k[1:] < k[:-1]).any() for k in keys):
        first = np.lexsort(keys)
        user = user[first]
    rows = np.arange(len(user) + 1, dtype=np.int32)
    grid = sparse.csr_matrix((np.ones(len(user), bool), user, rows), shape=(len(user), n_users))
    order: Positions = grid.tocsc().indices.astype(np.intp)
    return order if first is None else first[order]
