"""`Families`: items that are one product, counted once among the answers, the candidates and in lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.vocabulary import Rows
from crossaisle.models.topk import Mask, top_k
from crossaisle.recommend.rerank.groups import Groups

NOTE = "a group of items (same group_id, or same title and brand) counts once: any of its items is a hit"


@dataclass(frozen=True, eq=False)
class Families:
    """Which items are one product: those of one `group`, else of one title and brand, whatever their size."""

    code: Rows
    """int32 (n_items,): family of each item, 0 to `n` - 1; an item of no group is one by itself."""

    @classmethod
    def of_items(cls, items: pl.DataFrame) -> Families:
        """The groups of which a list shows one item."""
        keys = Groups.of_items(items).keys
        alone = keys == 0
        codes = np.empty(len(keys), np.int64)
        codes[~alone] = np.unique(keys[~alone], return_inverse=True)[1]
        codes[alone] = np.arange(alone.sum()) + codes[~alone].max(initial=-1) + 1
        return cls(codes.astype(np.int32))

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self._starts)

    def once(self, cases: EvalCases) -> EvalCases:
        """The cases with the first answer of each family only."""
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        pairs = owner * np.int64(self.n) + self.code[cases.target]
        keep = np.sort(np.unique(pairs, return_index=True)[1])
        counts = np.bincount(owner[keep], minlength=len(cases))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return replace(cases, target=cases.target[keep], target_indptr=indptr)

    def best(self, masked: Floats) -> Floats:
        """float32 (n_cases, n): the highest score of each family. `masked` (n_cases, n_items): -inf for items
        that are no candidates."""
        return np.asarray(np.maximum.reduceat(masked[:, self._order], self._starts, axis=1))

    def there(self, allowed: Mask) -> Mask:
        """bool (n_cases, n): families with a candidate."""
        return np.asarray(np.logical_or.reduceat(allowed[:, self._order], self._starts, axis=1))

    def lists(self, masked: Floats, k: int) -> Rows:
        """int32 (n_cases, k): the best item of each of the best families; -1 where none is left."""
        best, n = self.best(masked), len(self.code)
        first = np.where(masked == best[:, self.code], np.arange(n, dtype=np.int32), n)
        items = np.minimum.reduceat(first[:, self._order], self._starts, axis=1)
        chosen = top_k(best, min(k, self.n))
        rows = np.where(chosen >= 0, np.take_along_axis(items, np.maximum(chosen, 0), axis=1), -1)
        out = np.full((len(masked), k), -1, np.int32)
        out[:, : rows.shape[1]] = rows
        return out

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,): items by family."""
        return np.argsort(self.code, kind="stable")

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """int64 (n,): where each family begins among them."""
        ordered = self.code[self._order]
        return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
