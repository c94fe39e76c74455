"""`ShopMemory`: what one worker holds of a shop's users in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future

from crossaisle.serve.experiments.running import Experiments
from crossaisle.serve.live.event_counts import Pairs
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.insights.insights import Insights
from crossaisle.serve.live.own import Deed
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.store import Event, Store

LATEST = 5000
"""Events that are kept as they came: what drift is told from, and the console."""


class ShopMemory:
    """Takes in events and drops deleted users, wherever they are held. Changed by the event loop only."""

    def __init__(
        self,
        live: LiveHistories,
        experiments: Experiments,
        insights: Insights,
        recommenders: Callable[[], Iterable[LiveRecommender]],
        readers: Executor,
        store: Store,
    ) -> None:
        """`recommenders`: all that serve now. `readers`: threads that count pairs of categories.

        `store`: its marks tell which event was deleted.
        """
        self._store = store
        self._live, self._experiments, self._insights = live, experiments, insights
        self._recommenders, self._readers = recommenders, readers
        self.latest: deque[Event] = deque(maxlen=LATEST)
        self.counting: Future[Pairs] | None = None
        """The count of pairs that was started last."""

    def count(self, events: Sequence[Event]) -> None:
        """Makes events count from the next answer on."""
        self._live.add(events)
        self._insights.happened(events, self._live.meanings)
        if self._live.trends.full and (self.counting is None or self.counting.done()):
            self.counting = self._readers.submit(self._live.trends.pairs)
        self.latest.extend(events[-LATEST:])

    def withdraw(self, names: Sequence[str], mark: str) -> None:
        """Drops one event that was deleted. `names`: those known here whom it may be of."""
        for name in names:

            def gone(item: str, day: float, deed: Deed, name: str = name) -> bool:
                return self._store.mark_of_day(name, item, deed.kind, day, deed.value, deed.quantity) == mark

            self._live.withdraw(name, gone)
        marks = self._store.mark_of
        kept = (one for one in self.latest if one.user not in names or marks(one) != mark)
        self.latest = deque(kept, maxlen=LATEST)

    def users(self) -> Iterator[str]:
        """Names of all users of whom anything is in memory; some come more than once. For any thread."""
        yield from self._live.names()
        yield from self._experiments.users()
        yield from self._insights.users()
        for recommender in self._recommenders():
            yield from recommender.base.dataset.user_ids.all

    def drop(self, digest: bytes, names: Sequence[str], deleted: float) -> None:
        """Forgets a deleted user. `names`: those known here that have this digest. `deleted`: when, in
        seconds since 1970.
        """
        for name in names:
            self._experiments.forget(name)
            self._insights.forget(name)
            self._live.forget(name, deleted)
        if not names:
            self._live.forget_digest(digest, deleted)
        covers = self._live.forgotten.covers
        self.latest = deque((event for event in self.latest if not covers(event)), maxlen=LATEST)
