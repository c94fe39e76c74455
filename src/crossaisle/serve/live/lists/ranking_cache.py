"""`RankingCache`: the best items of the users (and items in view) that were asked for most recently."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.merchandising.ruled import Ranked
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.serve.live.histories import LiveHistories

Key = tuple[str, str, str, int]
"""Weights of the blend, `user` or `item` (or nothing), its id, and the rules that move items, as bits."""
Version = tuple[int, int, int]
"""How much has happened: to the user, to what is popular, and to what the shop has turned against."""


@dataclass(frozen=True)
class Lifted:
    """What rules move, of the items that have a score or that a pin names."""

    ranked: Ranked
    """The best items by scores that rules weighed."""
    pinned: Ranked
    """All items that pins name."""


@dataclass(frozen=True)
class Ranking:
    """The best items for a user (or beside an item), before any filter."""

    rows: Rows
    """int32 (n,), best first."""
    scores: Floats
    """float32 (n,)"""
    whole: bool
    """Whether these are all items that have a score."""
    version: Version
    """Of the moment before it was made."""
    query: Query
    """A query that it answers, to be replayed on another model."""
    lifted: Lifted | None = None
    """Where rules move items of its lists."""


class RankingCache:
    """Least recently used rankings go first. Filters, prices and stock are applied later: none is kept."""

    def __init__(
        self,
        histories: LiveHistories,
        capacity: int,
        disapproved: Callable[[], int] = lambda: 0,
        merchandising: Merchandising | None = None,
    ) -> None:
        """`capacity`: rankings. `disapproved`: the version of what scores lose by others' dislikes.
        `merchandising`: a merchandiser's rules.
        """
        self._histories, self._capacity, self._disapproved = histories, capacity, disapproved
        self._merchandising = merchandising
        self._kept: OrderedDict[Key, Ranking] = OrderedDict()
        self._lock = threading.Lock()
        histories.holders.add(self)
        self.hits = self.misses = 0
        """Lists that were made from a ranking kept here, and those that were not."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: Query, request: ResolvedQuery) -> Ranking | None:
        """The ranking for a query, unless something has happened since that concerns it."""
        key = self._key(query, request)
        ranking = None if key is None else self._kept.get(key)
        if ranking is None or key is None or self._aged(ranking, query, request):
            return None
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        return ranking

    def holds(self, query: Query, request: ResolvedQuery) -> bool:
        """Whether `get` would find a ranking; does not count as a use."""
        key = self._key(query, request)
        ranking = None if key is None else self._kept.get(key)
        return ranking is not None and not self._aged(ranking, query, request)

    def takes(self, query: Query, request: ResolvedQuery) -> bool:
        """Whether the ranking for a query can be kept: not for a session or a cart."""
        return self._key(query, request) is not None

    def put(self, ranking: Ranking, request: ResolvedQuery) -> None:
        """Keeps the ranking for its query, if it can be kept."""
        key = self._key(ranking.query, request)
        if key is None:
            return
        if key[1] != "user" and ranking.query.user is not None:
            ranking = replace(ranking, query=ranking.query.about(user=None))
        with self._lock:
            if key[1] == "user" and ranking.version[0] != self._histories.of(key[2]).version:
                return  # no more asked for, and what it came of may be deleted
            self._kept[key] = ranking
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)

    def version(self, query: Query) -> Version:
        """How much has happened to the user of a query, to what is popular, and to what is disapproved of."""
        own = 0 if query.user is None else self._histories.of(query.user).version
        return own, self._histories.trends.tick(), self._disapproved()

    def forget(self, user: str) -> None:
        """Keeps no ranking of a user, whose version in `LiveHistories` is another one by now."""
        with self._lock:
            for key in [key for key in self._kept if key[1:3] == ("user", user)]:
                del self._kept[key]

    def queries(self) -> list[Query]:
        """Recent queries, the latest first."""
        return [ranking.query for ranking in reversed(self.snapshot().values())]

    def snapshot(self) -> OrderedDict[Key, Ranking]:
        """A copy of what is kept, the least recently used first."""
        with self._lock:
            return self._kept.copy()

    def take_over(self, before: RankingCache, ids: frozenset[str], rows: Mask) -> None:
        """Takes what `before` keeps and a change of the catalogue leaves right.

        `ids`: of new items, and of items that were read again. `rows` bool (n_items,): those that get or
        give their scores.
        """
        kept = before.snapshot()
        if ids:
            kept = OrderedDict(
                (key, ranking) for key, ranking in kept.items() if self._still_right(key, ranking, ids, rows)
            )
        gone = self._histories.is_forgotten
        with self._lock:  # a deletion comes before this, or finds them here
            self._kept = OrderedDict(
                one for one in kept.items() if not (one[0][1] == "user" and gone(one[0][2]))
            )

    def _still_right(self, key: Key, ranking: Ranking, ids: frozenset[str], rows: Mask) -> bool:
        # A new item has a share of its neighbours' scores: it is not among the best where none of them is,
        # unless scores are below 0, of which a share is more.
        lowest = ranking.scores[-1] if len(ranking.rows) else np.float32(0.0)
        if rows[ranking.rows].any() or not (ranking.whole or lowest >= 0):
            return False
        weights, kind, name, _ = key
        if weights == "trending":
            return False  # what is new may sell at once
        return ids.isdisjoint(self._histories.of(name).items) if kind == "user" else name not in ids

    def _aged(self, ranking: Ranking, query: Query, request: ResolvedQuery) -> bool:
        concerned = slice(1, 2) if request.placement == "trending" else slice(0, 3, 2)
        return ranking.version[concerned] != self.version(query)[concerned]

    def _key(self, query: Query, request: ResolvedQuery) -> Key | None:
        lifting = 0 if self._merchandising is None else self._merchandising.lifting(query)
        if request.placement == "trending":
            # The same for everybody: what a user has seen is filtered later.
            return "trending", "", "", lifting
        if request.context.in_view is not None:
            return None  # one user with one cart: hardly asked again
        if request.placement in ("goes_with", "similar"):
            return (request.weights, "item", query.items[0], lifting) if len(query.items) == 1 else None
        if query.user is None or query.history is not None:
            return None
        return request.weights, "user", query.user, lifting
