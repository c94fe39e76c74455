"""`Raw`: events as integer codes, in input order; `Codes`: builds codes batch by batch; `KnownIds`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from crossaisle.data.ingest.clean import to_arrow, to_numpy
from crossaisle.data.ingest.limits import READ_LIMITS
from crossaisle.data.ingest.spill.columns import Column, blocks, replaced
from crossaisle.data.ingest.whole import Mask
from crossaisle.data.vocabulary import Rows

DEFAULT_KIND = "purchase"
WAITING = 16
"""Dictionaries of batches are merged once they hold `in_memory / WAITING` ids, or as many as are known."""


class Codes:
    """Assigns one integer code per distinct id, batch by batch, in order of first appearance."""

    def __init__(self, in_memory: int = READ_LIMITS.events_in_memory) -> None:
        self._chunks: list[pa.DictionaryArray] = []
        self._waiting = 0
        self._names: pa.Array | None = None
        self._codes = Column(in_memory)
        self._in_memory = in_memory

    def add(self, ids: pa.DictionaryArray, keep: pa.Array) -> None:
        """Codes the kept rows of a batch."""
        indices = ids.indices.filter(keep)
        self._chunks.append(pa.DictionaryArray.from_arrays(indices, ids.dictionary))
        self._waiting += len(ids.dictionary)
        # Each batch has its own dictionary. They are merged once they hold as many ids as there are distinct
        # ones: less often would store every id many times, more often would process the ids too often.
        if self._waiting > max(
            len(self._names) if self._names is not None else 0, self._in_memory // WAITING
        ):
            self._unify()

    def _unify(self) -> None:
        if not self._chunks:
            return
        known = self._chunks[0].dictionary[:0] if self._names is None else self._names
        head = pa.DictionaryArray.from_arrays(self._chunks[0].indices[:0], known)
        chunks = pa.chunked_array([head, *self._chunks]).unify_dictionaries().chunks
        for chunk in chunks[1:]:
            self._codes.add(to_numpy(chunk.indices, -1).astype(np.int32, copy=False))
        self._names = chunks[-1].dictionary
        self._chunks, self._waiting = [], 0

    def finish(self) -> tuple[Rows, list[str]]:
        """int32 codes, -1 if missing, and the ids they stand for, without ids of dropped rows."""
        self._unify()
        if self._names is None:
            return np.empty(0, np.int32), []
        codes, used = compact(self._codes.finish(), len(self._names), self._in_memory)
        return codes, self._names.filter(to_arrow(used)).to_pylist()


class KnownIds:
    """Row numbers of ids known from the start, looked up batch by batch.

    Arrow's `index_in` scans all known ids for each batch, which is quadratic in total.
    """

    def __init__(self, ids: pa.Array) -> None:
        """`ids` text (n,), unique."""
        self.ids = ids
        keys = pl.Series(ids).hash().to_numpy()
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._keys = keys[self._order]
        self._one_each = bool(np.diff(self._keys).all())

    def rows(self, ids: pa.Array) -> Rows:
        """int32 (m,): -1 where an id is unknown or null."""
        if not self._one_each or not len(self._keys):  # a hash collision
            return to_numpy(pc.index_in(ids, value_set=self.ids), -1).astype(np.int32)
        place = np.searchsorted(self._keys, pl.Series(ids).hash().to_numpy())
        found = self._order[np.minimum(place, len(self._order) - 1)]
        same = pc.equal(self.ids.take(to_arrow(found)), ids.cast(self.ids.type))
        return np.where(to_numpy(same.fill_null(False)), found, -1).astype(np.int32)


def compact(codes: Rows, n: int, in_memory: int = READ_LIMITS.events_in_memory) -> tuple[Rows, Mask]:
    """Renumbers codes below `n`, leaving out unused ones, in the same order; -1 stays. Also returns which are
    used.

    More than `in_memory` codes are changed in place.
    """
    used = np.zeros(n + 1, bool)  # the last entry is for -1
    for part in blocks(len(codes)):
        used[codes[part]] = True
    used = used[:-1]
    new = np.append(np.cumsum(used) - 1, -1).astype(np.int32)
    return replaced(codes, new, in_memory), used


@dataclass
class Raw:
    """Kept events in input order, integer-coded."""

    user: Rows
    users: list[str]
    item: Rows
    items: list[str]
    """Ids that `item` refers to; empty if there is an items table, whose rows `item` then refers to."""
    micros: npt.NDArray[np.int64] | None
    position: npt.NDArray[np.float64] | None
    kind: npt.NDArray[np.int8]
    kinds: tuple[str, ...]
    value: npt.NDArray[np.float32]
    quantity: npt.NDArray[np.float32]
    basket: Rows
    rows: npt.NDArray[np.int64] | None
    """Row numbers in the file, if later steps may set more rows aside."""

    def __len__(self) -> int:
        return len(self.item)


def no_events() -> Raw:
    """The events of a shop that has none yet; future ones will have times."""
    rows, floats, moments = np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64)
    kind, kinds = np.empty(0, np.int8), (DEFAULT_KIND,)
    return Raw(rows, [], rows, [], moments, None, kind, kinds, floats, floats, rows, moments)
