"""`Pool`: which items of a placement are put in order by the ranker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.put import put
from crossaisle.models.topk import top_k, union

Masks = npt.NDArray[np.bool_]
MARGIN = 16
"""Rough scores put the last items of a retriever a few places wrong."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Several retrievers, so that what the blend alone would crowd out is looked at, too."""

    of_blend: int = 150
    """The best of the blend."""
    of_part: int = 60
    """The best of each part in `retrievers`."""
    of_new: int = 40
    """The best of the blend in categories that are new to the history."""
    retrievers: tuple[str, ...] = ()
    """Names of parts."""
    unseen: bool = True
    """No items of the history."""
    other: bool = False
    """Only categories other than the newest item's."""
    new: bool = False
    """Only categories that are new to the history."""

    def wider(self) -> Pool:
        """The same with `MARGIN` more from each retriever."""
        return replace(
            self,
            of_blend=self.of_blend + MARGIN,
            of_part=self.of_part and self.of_part + MARGIN,
            of_new=self.of_new and self.of_new + MARGIN,
        )

    def choose(
        self,
        blend: Floats,
        parts: Mapping[str, Floats],
        allowed: Masks,
        new: Masks,
    ) -> list[Rows]:
        """For each history the columns of its candidates, ascending.

        `blend`, `parts`: float32 (n, m) scores, NaN where there is none. `allowed`, `new` bool (n, m): what
        may be a candidate, and what lies in a category that is new to the history.
        """
        known = _known(blend, ~allowed)
        found = [_first(known, self.of_blend)]
        if self.of_part:
            silent = known == -np.inf
            found += [_first(_known(parts[name], silent), self.of_part) for name in self.retrievers]
        if self.of_new and not self.new:
            put(known, -np.inf, ~new)
            found.append(_first(known, self.of_new))
        chosen = [union(one) for one in zip(*found, strict=True)]
        return [one[one >= 0] for one in chosen]

    def best_of_part(self, scores: Floats, allowed: Masks) -> Rows:
        """int32 (n, of_part): what a part that retrieves would add, best first; -1 where nothing is left."""
        return _first(_known(scores, ~allowed), self.of_part)


def _known(scores: Floats, hidden: Masks) -> Floats:
    """float32 (n, m): -inf where something is hidden or has no score."""
    known: Floats = np.fmax(scores, -np.inf)  # the larger of NaN and -inf is -inf
    put(known, -np.inf, hidden)
    return known


def _first(known: Floats, k: int) -> Rows:
    return top_k(known, min(k, known.shape[1]))


def new_categories(histories: Histories, codes: Rows) -> Masks:
    """bool (n, n_items): items of known categories that no item of the history has."""
    seen = np.zeros((len(histories), int(codes.max(initial=-1)) + 2), bool)
    seen[histories.owner, codes[histories.item]] = True
    seen[:, -1] = True  # read by code -1
    return ~seen[:, codes]
