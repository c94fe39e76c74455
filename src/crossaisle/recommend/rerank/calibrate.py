"""Calibration: a list whose categories are spread as the user's own are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.quota import Index

SMOOTHING = 0.01
"""Share of the wanted spread that is added to the list's, so that a category without a place costs a finite
amount."""


def spread_of(codes: Rows, history: Rows) -> npt.NDArray[np.float64] | None:
    """float64 (n_categories,): the share of each category in a history; None without a known category.

    `codes` int32 (n_items,), -1 unknown. `history`: item rows; repeats count.
    """
    seen = codes[history]
    seen = seen[seen >= 0]
    if not len(seen):
        return None
    return np.bincount(seen, minlength=int(codes.max()) + 1) / len(seen)


class Calibration:
    """How far a growing list is from the wanted spread: KL(wanted || list), as in Steck (RecSys 2018).

    All places of the list count the same. Items of unknown category take a place and help no category.
    """

    def __init__(self, wanted: npt.NDArray[np.float64], codes: Rows, weight: float) -> None:
        """`wanted` float64 (n_categories,), sums to 1. `codes` int32 (n,): category of each candidate, -1
        unknown. `weight` 0 to 1: of the distance, against relevance.
        """
        self.wanted, self.codes, self.weight = wanted, codes, weight
        self._counts, self._total = np.zeros(len(wanted)), 0

    def add(self, picks: Index) -> None:
        """Candidates that stand in the list."""
        taken = self.codes[picks]
        self._counts += np.bincount(taken[taken >= 0], minlength=len(self._counts))
        self._total += len(picks)

    def at(self, pool: Index) -> Calibration:
        """The same for some of the candidates, counted on its own from here."""
        out = Calibration(self.wanted, self.codes[pool], self.weight)
        out._counts, out._total = self._counts.copy(), self._total
        return out

    def distances(self) -> Floats:
        """float32 (n,): the distance of the list with each candidate added."""
        kept = (1.0 - SMOOTHING) / (self._total + 1)
        without = self._terms(kept * self._counts)
        added = self._terms(kept * (self._counts + 1.0)) - without
        # Code -1 reads the 0 at the end.
        found: Floats = (without.sum() + np.append(added, 0.0)[self.codes]).astype(np.float32)
        return found

    def _terms(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        some = self.wanted > 0
        out = np.zeros(len(self.wanted))
        wanted = self.wanted[some]
        out[some] = wanted * np.log(wanted / (shares[some] + SMOOTHING * wanted))
        return out
