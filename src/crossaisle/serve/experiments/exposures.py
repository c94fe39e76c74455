"""`ExposureQueue`: lists that were shown within experiments, on their way to the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from typing import NamedTuple

from crossaisle.errors import StoreError
from crossaisle.recommend.answer import RecommendationList
from crossaisle.serve.experiments.design import Experiment
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.experiments.results import SAME_SECONDS
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Store

_LOG = logging.getLogger(__name__)
FLUSH_SECONDS = 0.2
"""Exposures are written together after this time; as many may be lost in a crash."""
REMEMBERED = 100_000
"""Users whose last list is remembered, so that a page that is loaded again counts once."""


class Asked(NamedTuple):
    """The moment of a request."""

    time: float
    """Seconds since 1970."""
    deletions: int
    """Number of the last deletion of a user before it."""


class ExposureQueue:
    """Gathers exposures and hands them to the store together."""

    def __init__(self, log: ExperimentLog, store: Store, deleted: Forgotten, counts: Counter[str]) -> None:
        """`counts`: where `exposures` and `exposures_lost` are counted."""
        self._log, self._store, self._deleted, self._counts = log, store, deleted, counts
        self._waiting: list[Exposure] = []
        self._timer: asyncio.TimerHandle | None = None
        self._shown: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def asked(self) -> Asked:
        """The present moment."""
        return Asked(time.time(), self._deleted.number)

    def add(
        self,
        asked: Asked,
        experiment: Experiment,
        arm: str,
        answer: RecommendationList,
        *,
        share: float = 1.0,
        propensities: tuple[float, ...] | None = None,
        ranked: tuple[str, ...] = (),
        teams: tuple[int, ...] = (),
    ) -> None:
        """Queues what a user is shown, unless it was shown a moment ago or the user was deleted since."""
        if not answer.items:
            return
        user, items, now = str(answer.user), tuple(answer.ids), asked.time
        if self._deleted.since(asked.deletions, user):
            return  # made from what has been deleted meanwhile
        if self._is_repeated((experiment.name, user), hash((arm, items)), now):
            return
        if propensities is None:
            propensities = () if teams else (1.0,) * len(items)
        self.put(Exposure(experiment.name, arm, user, now, items, propensities, share, ranked, teams))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def _is_repeated(self, who: tuple[str, str], fingerprint: int, now: float) -> bool:
        before = self._shown.get(who)
        if before and before[0] == fingerprint and now - before[1] < SAME_SECONDS:
            return True
        self._shown[who] = fingerprint, now
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        return False

    def put(self, exposure: Exposure) -> None:
        """Queues an exposure until the next flush."""
        self._waiting.append(exposure)

    def flush(self) -> None:
        """Hands the queue to the store. A list is answered even if the store is down."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self._log.add(waiting)
            self._counts["exposures"] += len(waiting)
        except StoreError as error:
            self._counts["exposures_lost"] += len(waiting)
            _LOG.warning("%d exposures are not logged: %s", len(waiting), error)

    async def written(self) -> None:
        """When this returns, everything shown so far is in the store, which writes in order."""
        self.flush()
        await asyncio.wrap_future(self._store.submit(lambda _: None))

    def forget(self, user: str) -> None:
        """Drops what is queued and remembered about a user."""
        self._waiting = [exposure for exposure in self._waiting if exposure.user != user]
        self._shown = OrderedDict((key, value) for key, value in self._shown.items() if key[1] != user)

    def users(self) -> list[str]:
        """Users who are remembered here, some more than once. For any thread."""
        return [exposure.user for exposure in list(self._waiting)] + [user for _, user in list(self._shown)]
