"""Incremental updates: new events for a model, and the sums that are kept so they can be added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.vocabulary import Rows, Vocabulary

Counts = dict[str, Any]
"""Sums over users or baskets by name: csr matrices and arrays, of items in rows and columns."""


class Sums(dict[str, Any]):
    """`Counts` that were read from the disk, or made of such, and what of them is new."""

    def __init__(self, values: Mapping[str, Any], base: Counts, since: Counts) -> None:
        """`base`: as they lie on the disk. `since`: what to add for these `values`; empty where nothing."""
        super().__init__(values)
        self.base, self.since = base, since

    @classmethod
    def of(cls, base: Counts, since: Counts) -> Sums:
        """The sums of both."""
        return cls({name: _sum(base[name], since[name]) for name in since} if since else base, base, since)


KEPT, FITTED, COUNTED = "kept", "fitted", "new events counted"
"""What becomes of a model: the first two where it has no way of its own."""
TINY = 1e-5
"""Smaller differences of sums come from rounding, or change no weight that can be seen."""


@dataclass(frozen=True)
class Change:
    """A shop before and after some events: users may have come and gone, items have only been added."""

    before: Dataset
    after: Dataset
    users: frozenset[str]
    """Ids of the users whose events differ."""

    @cached_property
    def then(self) -> Dataset:
        """The shop before, with the events of these users alone."""
        return _only(self.before, self.users)

    @cached_property
    def now(self) -> Dataset:
        """The shop after, with the events of these users alone."""
        return _only(self.after, self.users)

    @cached_property
    def adds_up(self) -> bool:
        """Whether the events of all other users count what they counted before."""
        same_kinds = self.before.kinds == self.after.kinds and self.before.meanings == self.after.meanings
        n = self.before.n_items
        items = self.after.item_ids is self.before.item_ids or (
            self.after.n_items >= n and self.after.item_ids.all[:n] == self.before.item_ids.all
        )
        return same_kinds and items


def _only(dataset: Dataset, users: frozenset[str]) -> Dataset:
    keep = np.zeros(dataset.n_users + 1, bool)
    keep[_rows(dataset.user_ids, users)] = True
    return dataset.with_events(keep[dataset.events.user])


def _rows(ids: Vocabulary, names: frozenset[str]) -> Rows:
    return ids.rows(names)  # -1 for a user who is not there, which is the last place of the mask


@dataclass(frozen=True)
class Updated:
    """The outcome of an update: the same model where it did not change."""

    scorer: Any
    how: str
    """`KEPT`, `FITTED`, or in words what was done instead."""
    counts: Counts | None = None
    """Of all events, for the next time; None where the model keeps none."""


def products(left: sparse.csr_matrix, right: sparse.csr_matrix) -> sparse.csr_matrix:
    """csr: left' right, indices sorted, so that sums of such matrices are cheap."""
    out = left.T.tocsr() @ right
    out.sort_indices()
    return out


def total(counts: Mapping[str, Any], plus: Mapping[str, Any], minus: Mapping[str, Any]) -> Counts:
    """Sums with some users' old part taken out and their new one put in."""
    return raised(counts, steps(plus, minus))


def steps(plus: Mapping[str, Any], minus: Mapping[str, Any]) -> Counts:
    """What changes: plus - minus, by name."""
    return {name: _difference(plus[name], minus[name]) for name in plus}


def raised(counts: Mapping[str, Any], by: Mapping[str, Any]) -> Counts:
    """Sums and what they change by; `Sums` where they were."""
    values = {name: _sum(counts[name], by[name]) for name in counts}
    if not isinstance(counts, Sums):
        return values
    return Sums(values, counts.base, raised(counts.since, by) if counts.since else dict(by))


def _difference(plus: Any, minus: Any) -> Any:
    """plus - minus, without what rounding leaves of equal numbers."""
    if not sparse.issparse(plus):
        return np.asarray(plus) - _fitting(minus, np.shape(plus))
    out = (plus - _fitting(minus, plus.shape)).tocsr()
    out.data[np.abs(out.data) < TINY] = 0.0
    out.eliminate_zeros()
    return out


def _sum(old: Any, more: Any) -> Any:
    if not sparse.issparse(more):
        return _fitting(old, np.shape(more)) + more
    out = (_fitting(old, more.shape) + more).tocsr()
    if more.nnz and more.data.min() < 0:  # only what is taken out can leave nothing
        out.data[np.abs(out.data) < TINY] = 0.0
        out.eliminate_zeros()
    return out


def _fitting(value: Any, shape: tuple[int, ...]) -> Any:
    """The same with zeros for items that have come since."""
    if value.shape == shape:
        return value
    if sparse.issparse(value):
        grown = value.tocsr(copy=True)
        grown.resize(shape)
        return grown
    return np.pad(value, [(0, n - m) for n, m in zip(shape, value.shape, strict=True)])
