"""Ids of many batches -> integer codes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossaisle.data.ingest.clean import to_arrow, to_numpy
from crossaisle.data.ingest.whole import Mask
from crossaisle.data.vocabulary import Rows


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
