"""`Trending`: popularity and category links of now, out of the model's events and the live ones.

What is popular is what `Popularity`, fitted on both, would say: people per item, each with the weight of the
newest event. The half-life is the model's, or else `HALF_LIFE_DAYS`; time is that of the events.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.api_types import CategoryLinks
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.limits import LiveLimits

HALF_LIFE_DAYS = 30.0
"""Where the model's popularity has none."""
TOGETHER = 50_000
"""People whose categories are compared at once."""


class _Now(NamedTuple):
    """Live pairs of a person and an item, and their weights."""

    person: npt.NDArray[np.int64]
    """int64 (n,): rows of the model's users, and behind them those of everybody else."""
    item: npt.NDArray[np.int64]
    """int64 (n,): item rows."""
    weight: npt.NDArray[np.float64]
    """float64 (n,): 1 for the newest event of all, half for one that is a half-life older."""
    past: float
    """What an event at the end of the model's data weighs."""


class Trending:
    """The counts of one model and the events since."""

    def __init__(self, base: Recommender, live: LiveHistories, limits: LiveLimits) -> None:
        self._base, self._live, self._limits = base, live, limits
        parts = [part for part in base.blend.parts.values() if isinstance(part, Popularity)]
        self._part = parts[0]
        self.half_life = self._part.half_life_days or HALF_LIFE_DAYS
        self._lock = Lock()
        self._last: tuple[tuple[int, int], tuple[Floats, Rows]] | None = None
        self._items = -1, np.empty(0, np.int64)
        self._persons = np.empty(0, np.int64)
        self._gone: tuple[int, Rows] = -1, np.empty(0, np.int32)

    @property
    def silent(self) -> bool:
        """Whether nothing happened since the model was fitted: its own counts hold."""
        return self._live.trends.empty and not self._live.any_forgotten

    def scores(self, dataset: Dataset, of_model: Callable[[], Floats]) -> tuple[Floats, Rows]:
        """float32 (n_items,) in (0, 1], NaN for items without a person; rows of the best ones, ascending.

        `dataset`: with new items. `of_model`: the model's own scores of all. Worked out once per version.
        """
        with self._lock:
            state = self._live.trends.version, dataset.n_items
            if self._last is None or self._last[0] != state:
                scores = self._counted(dataset, of_model())
                rows = np.flatnonzero(~np.isnan(scores)).astype(np.int32)
                if len(rows) > (most := self._limits.trending_items):
                    rows = np.sort(rows[np.argpartition(-scores[rows], most)[:most]])
                self._last = state, (scores, rows)
            return self._last[1]

    def _counted(self, dataset: Dataset, of_model: Floats) -> Floats:
        live = self._now(dataset)
        n, n_old, users = dataset.n_items, self._base.dataset.n_items, self._people
        total = np.nan_to_num(of_model).astype(np.float64) * self._top * live.past
        if len(gone := self._forgotten):
            total[:n_old] -= np.asarray(users[gone].sum(axis=0), np.float64).ravel() * live.past
        own = np.zeros(len(live.weight))
        known = (live.person < users.shape[0]) & (live.item < n_old) & ~np.isin(live.person, gone)
        if known.any():
            before = users[live.person[known], live.item[known]]
            own[known] = np.asarray(before, np.float64).ravel() * live.past
        # A person counts once: with the newest event, be it the model's or a live one.
        total += np.bincount(live.item, np.maximum(live.weight - own, 0.0), n)
        heard = ~np.isnan(of_model)
        heard[live.item] = True
        top = float(total[heard].max(initial=0.0)) or 1.0
        # A decay may round an old item's weight to nothing; it is known all the same.
        tiny = np.finfo(np.float32).tiny
        return np.where(heard, np.maximum(total / top, tiny), np.nan).astype(np.float32)

    def _now(self, dataset: Dataset) -> _Now:
        pairs = self._live.trends.pairs()
        item = self._item_rows(dataset)[pairs.item]
        person = self._user_rows()[pairs.user]
        # What lies far ahead of everything that came last was set by a wrong clock.
        good = (item >= 0) & ~(pairs.day > pairs.present + self.half_life)
        day = self._live.gap_after(self.end).closed(pairs.day[good])
        newest = float(np.fmax(day.max(initial=-np.inf), self.end))
        past = 1.0 if np.isnan(self.end) else float(np.exp2((self.end - newest) / self.half_life))
        weight = np.exp2((day - newest) / self.half_life)
        return _Now(person[good], item[good].astype(np.int64), weight, past)

    @cached_property
    def end(self) -> float:
        """The day of the model's last event; nan where its events have no times."""
        return float(self._base.histories.now[0]) if self._base.dataset.n_users else float("nan")

    def _item_rows(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Item rows by their places in the trends, -1 for items that the shop does not have."""
        if self._items[0] != dataset.n_items:
            self._items = dataset.n_items, np.empty(0, np.int64)
        found = self._items[1]
        names = list(islice(self._live.trends.items, len(found), None))
        found = np.concatenate([found, dataset.item_ids.rows(names)])
        self._items = dataset.n_items, found
        return found

    def _user_rows(self) -> npt.NDArray[np.int64]:
        """Rows by places in the trends: of the model's users, and behind them those of everybody else."""
        found, n = self._persons, self._base.dataset.n_users
        names = list(islice(self._live.trends.users, len(found), None))
        rows = self._base.dataset.user_ids.rows(names).astype(np.int64)
        new = np.where(rows < 0, n + len(found) + np.arange(len(rows)), rows)
        self._persons = found = np.concatenate([found, new])
        return found

    @cached_property
    def _people(self) -> sparse.csr_matrix:
        """csr float32 (n_users, n_items): what each person of the model counts for each item."""
        return self._part.people(self._base.dataset)

    @cached_property
    def _top(self) -> float:
        """People of the model's most popular item."""
        return float(np.asarray(self._people.sum(axis=0), np.float64).max(initial=0.0)) or 1.0

    @property
    def _forgotten(self) -> Rows:
        """Rows of people of the model who asked to be forgotten."""
        number = self._live.forgotten.number
        if self._gone[0] != number:  # to hash a million names again every second would take all of it
            names = enumerate(self._base.dataset.user_ids.all)
            rows = [row for row, name in names if self._live.is_forgotten(name)]
            self._gone = number, np.array(rows, np.int32)
        return self._gone[1]

    # Categories

    def links(self, dataset: Dataset, n: int) -> CategoryLinks:
        """The `n` categories with the most people, and for each pair how much oftener than by chance.

        A person has a category with the weight of the newest event in it, and two with that of the older one.
        """
        codes, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
        with self._lock:
            own = self._shopped(dataset, codes, len(names))
        users = np.asarray(own.sum(axis=0), np.float64).ravel()
        top = np.argsort(-users, kind="stable")[: min(n, int((users > 0).sum()))]
        both = np.zeros((len(top), len(top)))
        columns = own[:, top]
        for start in range(0, own.shape[0], TOGETHER):
            part = columns[start : start + TOGETHER].toarray()
            for at in range(len(top)):
                both[at] += np.minimum(part, part[:, [at]]).sum(axis=0, dtype=np.float64)
        active = float(own.max(axis=1).sum()) or 1.0
        lift = both * active / np.outer(users[top], users[top]) if len(top) else both
        return CategoryLinks(
            names=tuple(names[code] for code in top),
            users=tuple(round(float(one), 1) for one in users[top]),
            lift=tuple(tuple(round(float(one), 3) for one in row) for row in lift),
        )

    def _shopped(self, dataset: Dataset, codes: npt.NDArray[np.int32], n: int) -> sparse.csr_matrix:
        """csr float32 (people, categories): weight of the newest event of each person in each category."""
        old = self._base.dataset
        matrix = old.matrix().tocoo()
        keep = (codes[matrix.col] >= 0) & ~np.isin(matrix.row, self._forgotten)
        rows, columns = matrix.row[keep].astype(np.int64), codes[matrix.col[keep]]
        if self.silent:
            values = np.ones(len(rows))
        else:
            live = self._now(dataset)
            known = codes[live.item] >= 0
            rows = np.concatenate([rows, live.person[known]])
            columns = np.concatenate([columns, codes[live.item[known]]])
            values = np.concatenate([np.full(int(keep.sum()), live.past), live.weight[known]])
        key = rows * max(n, 1) + columns
        order = np.lexsort((-values, key))
        key, values = key[order], values[order]
        first = np.append(True, key[1:] != key[:-1])[: len(key)]
        shape = (int(rows.max(initial=-1)) + 1, n)
        where = np.divmod(key[first], max(n, 1))
        return sparse.csr_matrix((values[first], where), shape=shape)
