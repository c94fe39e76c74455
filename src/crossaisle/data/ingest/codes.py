"""`Raw`: events as integer codes, in input order; and `Codes`, which grows codes batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossaisle.data.ingest.clean import to_arrow, to_numpy
from crossaisle.data.ingest.whole import Mask
from crossaisle.data.vocabulary import Rows

DEFAULT_KIND = "purchase"


class Codes:
    """Grows one integer code per distinct id, batch by batch, in order of first appearance."""

    def __init__(self) -> None:
        self._chunks: list[pa.DictionaryArray] = []

    def add(self, ids: pa.DictionaryArray, keep: pa.Array) -> None:
        """Codes the kept rows of a batch."""
        indices = ids.indices.filter(keep)
        self._chunks.append(pa.DictionaryArray.from_arrays(indices, ids.dictionary))

    def finish(self) -> tuple[Rows, list[str]]:
        """int32 codes, -1 where absent, and the ids behind them; ids of no kept row are left out."""
        if not self._chunks:
            return np.empty(0, np.int32), []
        chunks = pa.chunked_array(self._chunks).unify_dictionaries().chunks
        self._chunks = []
        names = chunks[-1].dictionary
        codes = np.concatenate([to_numpy(c.indices, -1) for c in chunks])
        codes, used = compact(codes.astype(np.int32, copy=False), len(names))
        return codes, names.filter(to_arrow(used)).to_pylist()


def compact(codes: Rows, n: int) -> tuple[Rows, Mask]:
    """Renumbers codes below `n` without the unused ones, order kept, -1 stays; and which ones are used."""
    used = np.zeros(n + 1, bool)  # the last place is for -1
    used[codes] = True
    used = used[:-1]
    new = np.append(np.cumsum(used) - 1, -1).astype(np.int32)
    return new[codes], used


@dataclass
class Raw:
    """Kept events in input order, integer-coded."""

    user: Rows
    users: list[str]
    item: Rows
    items: list[str]
    """Ids behind `item`; empty when there is an items table, whose rows `item` holds then."""
    micros: npt.NDArray[np.int64] | None
    position: npt.NDArray[np.float64] | None
    kind: npt.NDArray[np.int8]
    kinds: tuple[str, ...]
    value: npt.NDArray[np.float32]
    quantity: npt.NDArray[np.float32]
    basket: Rows
    rows: npt.NDArray[np.int64] | None
    """Row numbers in the file, where later steps may set more rows aside."""

    def __len__(self) -> int:
        return len(self.item)


def no_events() -> Raw:
    """Of a shop in which nothing has happened yet. What will happen has times."""
    rows, floats, moments = np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64)
    kind, kinds = np.empty(0, np.int8), (DEFAULT_KIND,)
    return Raw(rows, [], rows, [], moments, None, kind, kinds, floats, floats, rows, moments)
