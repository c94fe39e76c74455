"""`Rough`: approximate scores of all items, and exact scores of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from crossaisle.data.history import Floats, ItemWeights
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.sums import WeightedSums

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

    def add_to(self, sums: WeightedSums, weight: float) -> None:
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

    def add_to(self, sums: WeightedSums, weight: float) -> None:
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

    def add_to(self, sums: WeightedSums, weight: float) -> None:
        sums.add_own(self._own, weight)


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
