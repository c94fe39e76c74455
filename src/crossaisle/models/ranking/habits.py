"""When a history had a candidate, and how people come back to it: features where events have times.

"Ago" counts from the history's newest day, not from now, so that a list changes when its user does something
and not overnight. All are NaN where days are unknown.

| feature | meaning |
|---|---|
| `days_had`, `days_had_30`, `days_had_90` | days with the item, in all and among the newest 30 and 90 |
| `days_ago`, `visits_ago` | since the newest of them, in days and in days with an event |
| `rate` | `days_had` over the days with an event since the first of them |
| `gap`, `due` | mean days from one of them to the next, and `days_ago` over it |
| `leaf_times`, `leaf_days_30`, `leaf_days_ago`, `leaf_due` | the same of its deepest category |
| `loyalty` | events with the item over those with its deepest category |
| `returns` | days with it of those who had it, log of the mean |
| `trend` | log of its events in the newest 30 days of the shop over those of 30 such days in the 90 before |
| `lead` | its share of what its deepest category sold in these 30 days |
| `repeat_share`, `visits`, `per_visit` | of the history: repeated events, days, events per day |
| `explores` | share of its newest 60 days' events that were the first with their item |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows

HABITS = (
    "days_had",
    "days_had_30",
    "days_had_90",
    "days_ago",
    "visits_ago",
    "rate",
    "gap",
    "due",
    "leaf_times",
    "leaf_days_30",
    "leaf_days_ago",
    "leaf_due",
    "loyalty",
    "returns",
    "trend",
    "lead",
    "repeat_share",
    "visits",
    "per_visit",
    "explores",
)
"""Names in the order of the columns."""
MONTH, QUARTER = 30, 90
"""Days."""
EXPLORED = 60
"""Days in which new items of a history are counted."""
SHRINK = 10.0
"""People of average taste that are added to those who had an item."""

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class HabitTables:
    """One value per item, read off the events that the blend was fitted on."""

    returns: Floats
    trend: Floats
    lead: Floats

    @classmethod
    def of(cls, dataset: Dataset, leaf: Rows) -> HabitTables:
        """`leaf` int32 (n_items,): the deepest category, -1 unknown. NaN for a shop without times."""
        events, n = dataset.events, dataset.n_items
        if events.time is None or not len(events):
            nothing = np.full(n, np.nan, np.float32)
            return cls(returns=nothing, trend=nothing, lead=nothing)
        day = (events.time / SECONDS_PER_DAY).astype(np.int64)
        day -= day.min()
        pairs = events.user.astype(np.int64) * n + events.item
        moments = np.sort(pairs * (day.max() + 1) + day)
        had = moments[np.diff(moments, prepend=-1) > 0] // (day.max() + 1)  # a pair once for each of its days
        item = had % n
        days = np.bincount(item, minlength=n)
        holders = np.bincount(item[np.diff(had, prepend=-1) > 0], minlength=n)
        returns = (days + SHRINK * days.sum() / holders.sum()) / (holders + SHRINK)
        ago = day.max() - day
        lately = np.bincount(events.item[ago < MONTH], minlength=n)
        before = np.bincount(events.item[(ago >= MONTH) & (ago < MONTH + QUARTER)], minlength=n)
        of_leaf = np.bincount(leaf + 1, lately, int(leaf.max(initial=-1)) + 2)[leaf + 1]
        return cls(
            returns=np.log(returns).astype(np.float32),
            trend=(np.log1p(lately) - np.log1p(before * MONTH / QUARTER)).astype(np.float32),
            lead=np.where(leaf < 0, np.nan, (lately + 1.0) / (of_leaf + 1.0)).astype(np.float32),
        )


def habit_columns(
    tables: HabitTables, histories: Histories, leaf: Rows, item: Rows, owner: Integers
) -> list[npt.NDArray[np.floating]]:
    """The features of `HABITS`, in its order, each (m,).

    `item` int32 (m,): candidates, history after history; `owner` int64 (m,): whose they are.
    """
    visits = _Visits.of(histories)
    mine = visits.times_of(histories.item, item, owner)
    of_leaf = visits.times_of(leaf[histories.item], leaf[item], owner)
    known = ~np.isnan(visits.newest)[owner]
    columns: list[npt.NDArray[np.floating]] = [
        mine.days,
        mine.lately[MONTH],
        mine.lately[QUARTER],
        mine.ago,
        mine.visits_ago,
        mine.rate,
        mine.gap,
        mine.due,
        of_leaf.events,
        of_leaf.lately[MONTH],
        of_leaf.ago,
        of_leaf.due,
        mine.events / np.where(of_leaf.events > 0, of_leaf.events, np.nan),
        tables.returns[item],
        tables.trend[item],
        tables.lead[item],
        *(column[owner] for column in visits.of_history(histories)),
    ]
    return columns if known.all() else [np.where(known, column, np.nan) for column in columns]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Times:
    """When histories had something, one value per candidate; NaN where there is nothing to say."""

    events: Values
    days: Values
    lately: dict[int, Values]
    """Days among the newest so many of the history."""
    ago: Values
    visits_ago: Values
    rate: Values
    gap: Values

    @property
    def due(self) -> Values:
        return self.ago / np.maximum(self.gap, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Visits:
    """The days of histories."""

    owner: Integers
    """int64 (nnz,): whose each event is."""
    day: Values
    """float64 (nnz,): whole days."""
    visit: Integers
    """int64 (nnz,): number of its day, counted through all histories."""
    newest: Values
    """float64 (n,): the newest day of each history."""
    last: Integers
    """int64 (n,): number of the newest day."""

    @classmethod
    def of(cls, histories: Histories) -> _Visits:
        owner, day, n = histories.owner, np.floor(histories.day), len(histories)
        begins = np.ones(len(day), bool)
        begins[1:] = (day[1:] != day[:-1]) | (owner[1:] != owner[:-1])
        visit = np.cumsum(begins)
        some = histories.lengths > 0
        ends = histories.indptr[1:][some] - 1
        newest, last = np.full(n, np.nan), np.zeros(n, np.int64)
        newest[some], last[some] = day[ends], visit[ends]
        return cls(owner=owner, day=day, visit=visit, newest=newest, last=last)

    def times_of(self, codes: Rows, wanted: Rows, asker: Integers) -> _Times:
        """`codes` int32 (nnz,) of the events, `wanted` int32 (m,) of candidates; -1 is never had."""
        width = int(max(codes.max(initial=-1), wanted.max(initial=-1))) + 1
        kept = np.flatnonzero(codes >= 0)
        key = self.owner[kept] * width + codes[kept]
        order = key.argsort(kind="stable")  # events of a history stand in the order of time
        kept, key = kept[order], key[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1) != 0)
        if not len(starts):
            nothing, nan = np.zeros(len(wanted)), np.full(len(wanted), np.nan)
            spans = {MONTH: nothing, QUARTER: nothing}
            return _Times(
                events=nothing, days=nothing, lately=spans, ago=nan, visits_ago=nan, rate=nan, gap=nan
            )
        ends = np.append(starts[1:], len(key)) - 1
        day, visit, had_by = self.day[kept], self.visit[kept], self.owner[kept]
        opens = np.ones(len(key))
        opens[1:] = (visit[1:] != visit[:-1]) | (key[1:] != key[:-1])
        age = self.newest[had_by] - day
        days = np.add.reduceat(opens, starts)
        lately = {span: np.add.reduceat(opens * (age < span), starts) for span in (MONTH, QUARTER)}
        newest_visit = self.last[had_by[starts]]
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = np.where(days > 1, (day[ends] - day[starts]) / (days - 1), np.nan)
        asked = asker * width + wanted
        at = np.minimum(np.searchsorted(key[starts], asked), len(starts) - 1)
        found = (key[starts][at] == asked) & (wanted >= 0)
        return _Times(
            events=np.where(found, (ends - starts + 1.0)[at], 0.0),
            days=np.where(found, days[at], 0.0),
            lately={span: np.where(found, some[at], 0.0) for span, some in lately.items()},
            ago=np.where(found, age[ends][at], np.nan),
            visits_ago=np.where(found, (newest_visit - visit[ends])[at], np.nan),
            rate=np.where(found, (days / (newest_visit - visit[starts] + 1))[at], np.nan),
            gap=np.where(found, gap[at], np.nan),
        )

    def of_history(self, histories: Histories) -> list[Values]:
        """`repeat_share`, `visits`, `per_visit` and `explores`, each float64 (n,)."""
        n, lengths = len(histories), histories.lengths
        width = int(histories.item.max(initial=0)) + 1
        pairs = self.owner * width + histories.item
        order = np.argsort(pairs, kind="stable")
        is_first = np.zeros(len(pairs), bool)
        is_first[order[np.diff(pairs[order], prepend=-1) > 0]] = True
        distinct = np.bincount(self.owner[is_first], minlength=n)
        opens = np.ones(len(self.visit), bool)
        opens[1:] = self.visit[1:] != self.visit[:-1]
        visits = np.bincount(self.owner[opens], minlength=n).astype(np.float64)
        lately = self.newest[self.owner] - self.day < EXPLORED
        explored = np.bincount(self.owner[lately & is_first], minlength=n)
        with np.errstate(invalid="ignore", divide="ignore"):
            return [
                1.0 - distinct / lengths,
                visits,
                lengths / visits,
                explored / np.bincount(self.owner[lately], minlength=n),
            ]
