"""`NearestRows`: the rows with the largest inner products, among a million: int8 first, exact afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.coarse import CodeRows
from crossaisle.models.topk import Mask, top_k

BLOCK = 32_768
"""Rows read at once where whole matrices would not fit beside each other."""
_FEW = 4096
"""Rows turned into float32 at a time, where that has to be."""
LEAST = -np.iinfo(np.int32).max
"""Below every sum of codes, and unlike the least number of all it has an opposite, by which it is sorted."""
Codes = npt.NDArray[np.int8]
Sums = npt.NDArray[np.int32]


@dataclass(frozen=True)
class NearestRows:
    """A matrix beside its int8 form, a quarter of the bytes to read per question.

    Nothing is left out of the search, so what it misses lies within the rounding of a code: ask for more
    rows than are wanted, and score those exactly. Without numba, float32 rows are searched, which takes
    three to ten times as long. One step serves the whole matrix, so that sums of codes compare as they are;
    `CompactVectors`, which need no such search, have a finer one for each vector.
    """

    vectors: Floats
    """float32 (n, d), may be memory-mapped."""
    codes: Codes
    """int8 (n, d): multiples of one step for the whole matrix."""
    block: int = BLOCK
    """Rows worked on at a time: a mapped matrix is never in memory as a whole."""

    @classmethod
    def of(cls, vectors: Floats, block: int = BLOCK) -> NearestRows:
        """Codes for a float32 matrix (n, d)."""
        parts = [slice(start, start + block) for start in range(0, len(vectors), block)]
        largest = max((float(np.abs(vectors[part]).max(initial=0.0)) for part in parts), default=0.0)
        codes = np.empty(vectors.shape, np.int8)
        for part in parts:
            codes[part] = np.rint(vectors[part] * np.float32(127.0 / (largest or 1.0)))
        return cls(vectors, codes, block)

    def prepare(self) -> None:
        """Has onnxruntime hold the codes, too: a search then takes less time than by
        numba, and needs none. Queries get 7 bits instead of 8.
        """
        self.__dict__["_held"] = CodeRows.of(self.codes)

    def search(self, queries: Floats, k: int, among: Mask | None = None) -> Rows:
        """int32 (len(queries), k): rows by their products with float32 (b, d) queries, best first.

        `among` bool (n,): rows that come before all others.
        """
        k = min(k, len(self.codes))
        if not k or not len(queries):
            return np.empty((len(queries), k), np.int32)
        if among is None:
            self._last.batch = queries[:0], None  # of a million rows, two batches are 256 MB
            products = self._products(queries)
            self._last.batch = queries, products
            return top_k(products, k)
        rows, last = np.flatnonzero(among), self._of_last(queries)
        products = self._products(queries) if last is None else last
        if len(rows) >= k:
            return rows[top_k(products.take(rows, axis=1), k)].astype(np.int32)
        products[:, ~among] = -np.inf if products.dtype.kind == "f" else LEAST
        return top_k(products, k)

    def answered(self) -> None:
        """Lets go of the products of this thread's last search."""
        self._last.__dict__.clear()

    def _of_last(self, queries: Floats) -> npt.NDArray[Any] | None:
        """The products of some queries, where the last search of this thread without `among` had them all."""
        known, products = getattr(self._last, "batch", (queries[:0], None))
        if products is None:
            return None
        same = (known[None, :, :] == queries[:, None, :]).all(axis=2)
        return products[same.argmax(axis=1)] if same.any(axis=1).all() else None

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to this process, for copies in other ones."""
        return {"vectors": self.vectors, "codes": self.codes, "block": self.block}

    @cached_property
    def _last(self) -> threading.local:
        """What fits is often looked for right after what is best; `batch`: the queries and their products."""
        return threading.local()

    def _products(self, queries: Floats) -> npt.NDArray[Any]:
        """float32 or int32 (b, n): products, each query's in a unit of its own."""
        held: CodeRows | None = self.__dict__.get("_held")
        if held is not None:
            return held.products(queries)
        if find_spec("numba") is None:
            out = np.empty((len(queries), len(self.vectors)), np.float32)
            for part in self._parts():
                out[:, part] = queries @ self.vectors[part].T
            return out
        return code_products(self.codes, coded_queries(queries))

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool (n,): rows that are not all zeros."""
        parts = [self.codes[part].any(axis=1) for part in self._parts()]
        return np.concatenate([np.empty(0, bool), *parts])

    def _parts(self) -> list[slice]:
        return [slice(start, start + self.block) for start in range(0, len(self.codes), self.block)]


def coded_queries(queries: Floats) -> Codes:
    """int8 (b, d): float32 (b, d), each row in a unit of its own."""
    unit = np.maximum(np.abs(queries).max(axis=1, keepdims=True), 1e-30) / 127.0
    codes: Codes = np.rint(queries / unit).astype(np.int8)
    return codes


def code_products(codes: Codes, queries: Codes) -> Sums:
    """int32 (b, n): products of int8 (n, d) and int8 (b, d); without numba four times as slow."""
    out = np.empty((len(queries), len(codes)), np.int32)
    if find_spec("numba") is not None:
        _kernel(codes.shape[1])(codes, queries, out)
        return out
    wide = queries.astype(np.float32)  # sums of up to 1,040 products of codes are exact in float32
    for start in range(0, len(codes), _FEW):
        part = slice(start, start + _FEW)
        out[:, part] = wide @ codes[part].astype(np.float32).T
    return out


@lru_cache
def _kernel(width: int) -> Callable[[Codes, Codes, Sums], None]:
    """Compiled for one width and with int32 to the end: only then are many pairs multiplied at once."""
    import numba

    def products(codes: Codes, queries: Codes, out: Sums) -> None:
        for first in range(0, codes.shape[0], 64):  # rows that stay in the nearest cache for all queries
            last = min(first + 64, codes.shape[0])
            for q in range(queries.shape[0]):
                for row in range(first, last):
                    total = np.int32(0)
                    for i in range(width):
                        total += np.int32(codes[row, i]) * np.int32(queries[q, i])
                    out[q, row] = total

    compiled: Callable[[Codes, Codes, Sums], None] = numba.njit(nogil=True, boundscheck=False)(products)
    return compiled
