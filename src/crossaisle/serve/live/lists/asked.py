"""`Asked`: a query that is to be scored; `Scored`: the rows that its list is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.serve.live.lists.ranking_cache import Version

T = TypeVar("T")
U = TypeVar("U")
Answers = dict[int, RecommendationList | Exception]
"""By place in a batch."""
Tiers = npt.NDArray[np.int8]


class Asked(NamedTuple):
    """A query in rows, with what had happened when it was asked."""

    query: Query
    request: ResolvedQuery
    version: Version
    """Of the moment before the history was read."""
    by: object
    """The `LiveRecommender` that was asked: another one has other rows."""

    @property
    def is_whole(self) -> bool:
        """Whether all it may show fit on the page, as where a list of another system is ranked."""
        wanted = self.query.include_items
        return bool(wanted) and not self.query.offset and len(wanted) <= self.query.n


class Scored(NamedTuple):
    """What a list is made from."""

    rows: Rows
    """int32 (n,), ascending"""
    scores: Floats
    """float32 (n,)"""
    allowed: bool = False
    """Whether these are rows that the filters of one query allow."""
    whole: bool = False
    """Whether there are no more of them."""
    every: bool = False
    """Whether these are all rows that have a score."""
    tiers: Tiers | None = None
    """int8 (n,): rows of a lower tier come before all others, whatever their scores."""
    least: float = -np.inf
    """What is not among these may have this score, and comes before what rules rank lower."""

    def after(self, before: Scored | None) -> Scored:
        """With what an earlier step found, which keeps its scores and comes first.

        How many steps a list takes depends on where its page ends. Only so do its pages share no item.
        """
        if before is None:
            return self
        first = np.zeros(len(before.rows), np.int8) if before.tiers is None else before.tiers
        own = np.full(len(self.rows), first.max(initial=-1) + 1, np.int8)
        rows, at = np.unique(np.concatenate([before.rows, self.rows]), return_index=True)
        scores = np.concatenate([before.scores, self.scores])[at]
        return self._replace(
            rows=rows.astype(np.int32), scores=scores, tiers=np.concatenate([first, own])[at]
        )


def each(asked: Mapping[int, T], work: Callable[[T], U], out: Answers) -> dict[int, U]:
    """What `work` makes of each, by place; an error goes to `out`, so that it is nobody else's."""
    done = {}
    for place, one in asked.items():
        try:
            done[place] = work(one)
        except Exception as error:
            out[place] = error
    return done
