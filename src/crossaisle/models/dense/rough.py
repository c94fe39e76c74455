"""`Rough`: about the scores of all items, and exact ones of some; `RoughSums`: weighted sums of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.put import put

Exact = Callable[[int, Rows], Floats]
"""Which history, and int32 (m,) item rows -> float32 (m,): what `score_rows` says of these."""


class Rough:
    """About the scores of all items, and the exact ones of some of them."""

    def __init__(
        self,
        scores: Floats,
        exact: Exact,
        parts: Mapping[str, Rough] | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """`scores` float32 (n, n_items): as `score_rows`, within some rounding; NaN at the same places.
        `whole`: there is no NaN. `parts`: of a sum, the same of its terms, by name.
        """
        self.scores, self.whole = scores, whole
        self.parts: Mapping[str, Rough] = parts or {}
        self._exact = exact
        self._last: tuple[int, Rows, Floats] | None = None

    @classmethod
    def known(cls, scores: Floats) -> Rough:
        """Exact ones of all items."""
        return cls(scores, lambda at, rows: scores[at, rows])

    @property
    def coarse(self) -> bool:
        """Whether a sum with it is worth being rough: exact scores of all items would cost much more."""
        return True

    def exact(self, at: int, rows: Rows) -> Floats:
        """float32 (m,): exact scores of some rows; asked twice in a row for the same, they cost nothing."""
        last = self._last
        if last is None or last[0] != at or last[1] is not rows:
            last = self._last = at, rows, self._exact(at, rows)
        return last[2]

    def add_to(self, sums: RoughSums, weight: float) -> None:
        """Adds the rough scores."""
        sums.add(self.scores, weight, whole=self.whole)


class SameForAll(Rough):
    """Scores that do not depend on the history."""

    def __init__(self, scores: Floats, n: int) -> None:
        """`scores` float32 (n_items,), for `n` histories."""
        super().__init__(np.broadcast_to(scores, (n, len(scores))), lambda at, rows: scores[rows])

    @property
    def coarse(self) -> bool:
        return False

    def add_to(self, sums: RoughSums, weight: float) -> None:
        sums.add(self.scores[:1], weight)


class OfOwnItems(Rough):
    """Scores of the items of the history alone."""

    def __init__(self, own: ItemWeights, n_items: int) -> None:
        """`own`: the scores."""
        self._own, self._n_items = own, n_items
        self.whole, self.parts, self._last = False, {}, None

    def _exact(self, at: int, rows: Rows) -> Floats:
        return self._own.at(at, rows, missing=np.nan)

    @cached_property
    def scores(self) -> Floats:  # type: ignore[override]
        """float32 (n, n_items): NaN for all other items."""
        own = self._own
        scores = np.full((len(own), self._n_items), np.nan, np.float32)
        scores[own.owner, own.indices] = own.data
        return scores

    @property
    def coarse(self) -> bool:
        return False

    def add_to(self, sums: RoughSums, weight: float) -> None:
        sums.add_own(self._own, weight)


class RoughSums:
    """Weighted sums of scores, NaN only where no part has one."""

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


def exact_sum(parts: Sequence[tuple[Rough, float]]) -> Exact:
    """Exact weighted sums, NaN where no part has a score."""

    def exact(at: int, rows: Rows) -> Floats:
        total, known = np.zeros(len(rows), np.float32), np.zeros(len(rows), bool)
        for part, weight in parts:
            scores = part.exact(at, rows)
            finite = scores == scores
            total += np.where(finite, scores, np.float32(0.0)) * np.float32(weight)
            known |= finite
        total[~known] = np.nan
        return total

    return exact
