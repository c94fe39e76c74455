"""Ranks items that another system found, and says why some have no place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from crossaisle.data.query import RANKED, Query
from crossaisle.errors import ConfigError
from crossaisle.recommend.answer import TOO_FEW, RecommendationList
from crossaisle.recommend.lists.list_builder import ListBuilder
from crossaisle.recommend.request import NOT_SHOWN, ResolvedQuery

Why = Literal["unknown", "controls", "rules", "no score"]


@dataclass(frozen=True)
class Unplaced:
    """An item that was sent and has no place."""

    item_id: str
    why: Why
    """`unknown`: the shop does not have it. `controls`: the controls, the placement or the user's dislikes
    leave it out. `rules`: a merchandiser's rule does. `no score`: no model can score it."""


@dataclass(frozen=True)
class Ranking:
    """The items of a list that another system found: those with a place, then the others."""

    placed: RecommendationList
    unplaced: tuple[Unplaced, ...]
    """In the order in which they were sent."""

    @property
    def ids(self) -> list[str]:
        """All ids that were sent, each once, the best first."""
        return [*self.placed.ids, *(one.item_id for one in self.unplaced)]


def rank_query(items: Sequence[str], /, **fields: Any) -> Query:
    """The query that ranks these items and no others; `fields` of `Query`, as `RANKED` if not given.

    `ConfigError` for a field out of range, or without an item.
    """
    each = tuple(dict.fromkeys(items))
    if not each:
        raise ConfigError("there is nothing to rank: give at least one item")
    return Query(n=len(each), include_items=each, **{**RANKED, **fields})


def ranking(query: Query, request: ResolvedQuery, answer: RecommendationList, lists: ListBuilder) -> Ranking:
    """The answer to a `rank_query`, and what it does not hold. `lists`: of the catalogue of the answer."""
    # What is missing is named one by one.
    said = tuple(one for one in answer.notices if not one.endswith(TOO_FEW) and NOT_SHOWN not in one)
    return Ranking(replace(answer, notices=said), _unplaced(query, request, answer, lists))


def _unplaced(
    query: Query, request: ResolvedQuery, answer: RecommendationList, lists: ListBuilder
) -> tuple[Unplaced, ...]:
    there = set(answer.ids)
    missing = [item for item in query.include_items if item not in there]
    if not missing:
        return ()
    rows = lists.view.dataset.item_ids.rows(missing)
    known = rows >= 0
    free, ruled = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    free[known] = lists.unruled(query, request, rows[known])
    ruling = lists.ruling(query, request)
    if ruling is not None:
        ruled[known] = ruling.banned[rows[known]]
    # A quota or a share that is full leaves an item out although the filters allow it.
    capped = query.quota is not None or query.quotas or query.max_per_brand or query.one_per_title

    def why(at: int) -> Why:
        if not known[at]:
            return "unknown"
        if not free[at]:
            return "controls"
        if ruled[at]:
            return "rules"
        return "controls" if capped else "no score"

    return tuple(Unplaced(item, why(at)) for at, item in enumerate(missing))
