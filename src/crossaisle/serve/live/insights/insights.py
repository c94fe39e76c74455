"""`Insights`: what a manager asks for. Sums per day and source; nothing of them names a user."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from crossaisle.api_types import InExperiment
from crossaisle.data.kinds import Kinds
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import StoreError
from crossaisle.recommend.answer import RecommendationList
from crossaisle.serve.limits.live import InsightLimits
from crossaisle.serve.live.insights.attribution import Attribution, Source
from crossaisle.serve.live.insights.coverage import Coverage
from crossaisle.serve.store.records import Event
from crossaisle.serve.store.totals import TotalsTable

_LOG = logging.getLogger(__name__)
COUNTED = ("lists", "clicks", "carts", "purchases", "revenue")
"""`revenue`: of the purchases, value or price by quantity."""
Cell = tuple[int, Source]
"""A day, since 1970 (UTC), and what made the lists."""


class Insights:
    """Counts of one worker, written to the store every few seconds. Changed by the event loop only."""

    def __init__(
        self,
        table: TotalsTable,
        price_of: Callable[[str], float | None],
        coverage: Coverage,
        limits: InsightLimits = InsightLimits(),
    ) -> None:
        """`price_of`: what an item costs now, for purchases that do not say."""
        self.limits, self._table, self._price_of, self.coverage = limits, table, price_of, coverage
        self._attribution = Attribution(limits)
        self._cells: dict[Cell, dict[str, float]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0.0))
        self._changed: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        for day, body in table.own():
            for source, counts in json.loads(body):
                self._cells[day, Source(*source)].update(counts)

    def shown(self, answer: RecommendationList, within: InExperiment | None) -> None:
        """Counts a list that was answered."""
        if not answer.items:
            return
        now = time.time()
        source = Source(answer.placement)
        if within is not None:
            source = Source(answer.placement, within.name, within.arm or "")
        if answer.user is not None and not self._attribution.shown(answer.user, source, answer.ids, now):
            return
        self._add(now, source, "lists", 1.0)
        self.coverage.shown(answer.placement, answer.ids)

    def happened(self, events: Sequence[Event], kinds: Kinds) -> None:
        """Counts events that followed a list."""
        for due in self._attribution.due(events, kinds):
            self._add(due.event.time, due.source, due.step, 1.0)
            if due.step == "purchases":
                price = due.event.value if due.event.value is not None else self._price_of(due.event.item)
                quantity = 1.0 if due.event.quantity is None else due.event.quantity
                self._add(due.event.time, due.source, "revenue", (price or 0.0) * quantity)

    def clicked(self, user: str, item: str, placement: str) -> None:
        """Before the event of a click is kept: which placement the click goes to."""
        self._attribution.clicked(user, item, placement)

    def _add(self, moment: float, source: Source, what: str, n: float) -> None:
        day = int(moment // SECONDS_PER_DAY)
        self._cells[day, source][what] += n
        self._changed.add(day)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limits.write_seconds, self.flush)

    def flush(self) -> None:
        """Hands what has changed to the store; after a crash the last few seconds are missing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        days = {
            day: json.dumps([[source, counts] for (of, source), counts in self._cells.items() if of == day])
            for day in self._changed
        }
        if not days:
            return
        try:
            self._table.put(days)
            self._changed = set()
        except StoreError as error:  # they are written with the next ones
            _LOG.warning("totals of recommendations are not written: %s", error)
        oldest = max(days) - self.limits.kept_days
        for cell in [cell for cell in self._cells if cell[0] < oldest]:
            del self._cells[cell]

    def since(self, first_day: int) -> list[dict[str, Any]]:
        """Counts by day and source, of all workers. Reads the store."""
        cells: dict[Cell, dict[str, float]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0.0))
        of_others = [
            ((day, Source(*source)), counts)
            for day, body in self._table.others(first_day)
            for source, counts in json.loads(body)
        ]
        for cell, counts in [*of_others, *list(self._cells.items())]:
            if cell[0] >= first_day:
                for name, n in counts.items():
                    cells[cell][name] += n
        return [{"day": day, **source._asdict(), **cells[day, source]} for day, source in sorted(cells)]

    def forget(self, user: str) -> None:
        """Drops what is remembered of a user; sums stay."""
        self._attribution.forget(user)

    def users(self) -> list[str]:
        """Users of whom lists are remembered. For any thread."""
        return self._attribution.users()
