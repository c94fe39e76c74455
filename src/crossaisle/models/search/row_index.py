"""`RowIndex`: the interface that finds the rows nearest to a query, wherever they are stored."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.models.topk import Mask


class RowIndex(Protocol):
    """`NearestRows` (in memory), `ShardedRows` (mapped files) and `PostgresRows` (a database) are such."""

    def search(self, queries: Floats, k: int, among: Mask | None = None) -> Rows:
        """int32 (len(queries), k): rows by their products with float32 (b, d) queries, best first.

        `among` bool (n,): rows that come before all others.
        """
        ...

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool (n,): rows that are not all zeros."""
        ...
