"""Maximal marginal relevance: a list that does not say the same thing ten times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.calibrate import Calibration
from crossaisle.recommend.rerank.quota import Cap, Index, Room

Similarity = Callable[[Rows, Rows], Floats]
"""Item rows (n,) and (m,) -> float32 (n, m): 0 (nothing in common) to 1 (alike)."""


@runtime_checkable
class SimilarItems(Protocol):
    """A model that can say how alike two items are; diversity uses the first such part of a blend."""

    def item_similarity(self, left: Rows, right: Rows) -> Floats:
        """Item rows (n,) and (m,) -> float32 (n, m), 0 to 1."""
        ...


def mmr(
    scores: Floats,
    similar: Floats,
    k: int,
    diversity: float,
    caps: Sequence[Cap] = (),
    likeness: Floats | None = None,
    calibration: Calibration | None = None,
) -> Index:
    """Places of at most `k` candidates, in the order they are picked.

    Each pick has the largest `(1 - diversity) * relevance - diversity * likeness`: relevance is the
    score scaled to 0..1 over the candidates, likeness the largest similarity to a pick before it.
    Carbonell and Goldstein, The use of MMR (SIGIR 1998).

    `scores` float32 (n,), best first; `similar` float32 (n, n); `caps` are never exceeded. `likeness`
    float32 (n,): similarity to what was picked before, if anything was. With a `calibration` of weight w,
    each pick has the largest `(1 - w) * value - w * distance` (Steck, RecSys 2018).
    """
    n = len(scores)
    spread = float(scores[0] - scores[-1]) if n else 0.0
    relevance = (scores - scores[-1]) / spread if spread > 0 else np.ones(n, np.float32)
    likeness = np.zeros(n, np.float32) if likeness is None else likeness
    room = Room(caps)
    free = np.ones(n, bool)
    chosen: list[int] = []
    while len(chosen) < k:
        fits = free & room.open() if caps else free
        if not fits.any():
            break
        value = (1.0 - diversity) * relevance - diversity * likeness
        if calibration is not None:
            value = (1.0 - calibration.weight) * value - calibration.weight * calibration.distances()
        best = int(np.where(fits, value, -np.inf).argmax())  # the first of equals: the better score
        if calibration is not None:
            calibration.add(np.array([best]))
        chosen.append(best)
        room.take(best)
        free[best] = False
        likeness = np.maximum(likeness, similar[best])
    return np.array(chosen, dtype=np.int64)


def similarity_of(parts: Iterable[object], taxonomy: Taxonomy) -> Similarity:
    """That of the first part that knows one, else that of category paths."""
    known = (part.item_similarity for part in parts if isinstance(part, SimilarItems))
    return next(known, None) or PathSimilarity(taxonomy)


@dataclass(frozen=True)
class PathSimilarity:
    """Items are alike by the levels their category paths share, 0 to 1; for shops without texts."""

    taxonomy: Taxonomy

    def __call__(self, left: Rows, right: Rows) -> npt.NDArray[np.float32]:
        """float32 (len(left), len(right))."""
        depth = max(self.taxonomy.depth, 1)
        parts = (np.arange(depth + 1) / depth).astype(np.float32)
        shared = np.zeros((len(left), len(right)), np.uint8)
        for codes in self._levels:  # one after the other: of a long list these take much memory
            known = codes[left] >= 0
            shared += (codes[left][:, None] == codes[right]) & known[:, None]
        return np.asarray(parts[shared])

    @cached_property
    def _levels(self) -> list[Rows]:
        return [self.taxonomy.codes(d) for d in range(max(self.taxonomy.depth, 1))]
