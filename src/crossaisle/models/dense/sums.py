"""`WeightedSums`: sums of the scores of several models."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.models.dense.put import put


class WeightedSums:
    """Weighted sums of scores, NaN only where no model has one."""

    def __init__(self, n: int) -> None:
        """`n`: histories."""
        self._n = n
        self._total: Floats | None = None
        self._silent: npt.NDArray[np.bool_] | None = None
        """bool (1 or n, n_items): None where no item is without a score."""
        self._own: list[tuple[ItemWeights, float]] = []
        self.whole = False
        """Whether `total` found a score for every item."""

    def add(self, scores: Floats, weight: float, *, whole: bool = False) -> None:
        """`scores` float32 (n, n_items), or (1, n_items) for all alike; they are not changed."""
        part = np.multiply(scores, np.float32(weight), dtype=np.float32)
        silent = None if whole else np.isnan(scores)
        if silent is not None:
            put(part, 0.0, silent)
        if self._total is None:
            self._total, self._silent = part, silent
            return
        larger, other = (part, self._total) if len(part) > len(self._total) else (self._total, part)
        larger += other
        self._total = larger
        self._silent = None if silent is None or self._silent is None else silent & self._silent

    def add_own(self, own: ItemWeights, weight: float) -> None:
        """Scores of the items of each history."""
        self._own.append((own, weight))

    def total(self, n_items: int) -> Floats:
        """float32 (n, n_items)."""
        total, silent = self._total, self._silent
        if total is None:
            total, silent = np.zeros((1, n_items), np.float32), np.ones((1, n_items), bool)
        if len(total) < self._n:
            total = np.repeat(total, self._n, axis=0)
        if silent is not None and not silent.any():
            silent = None
        self.whole = silent is None
        if silent is not None and len(silent) < self._n:
            silent = np.repeat(silent, self._n, axis=0)
        for own, weight in self._own:
            total[own.owner, own.indices] += own.data * np.float32(weight)
            if silent is not None:
                silent[own.owner, own.indices] = False
        if silent is not None:
            put(total, np.nan, silent)
        return total
