"""`Trending`: current popularity and category links, from the model's events and the live ones.

Popularity is what `Popularity`, refitted on both, would give: users per item, each weighted by their newest
event. The half-life is the model's, or else `HALF_LIFE_DAYS`; time is that of the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
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
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.derived import Derived
from crossaisle.serve.live.event_counts import TAKEN_BACK, EventCounts, Gaps, Pairs
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.own_history import Days, own_history
from crossaisle.serve.live.shopwide.stored_counts import LogWeight, Model, StoredCounts, Sums, log_amounts

HALF_LIFE_DAYS = 30.0
"""Where the model's popularity has none."""
TOGETHER = 50_000
"""Users whose categories are compared at once."""


class _Now(NamedTuple):
    """Live pairs of a user and an item, and their weights."""

    user: npt.NDArray[np.int64]
    """int64 (n,): rows of the model's users; other users have the rows after them."""
    item: npt.NDArray[np.int64]
    """int64 (n,): item rows."""
    weight: npt.NDArray[np.float64]
    """float64 (n,): 1 for the newest event of all, half for one that is a half-life older."""
    past: float
    """The weight of an event at the end of the model's data."""
    settled: bool = False
    """Whether the weights are all that is left of these pairs, the model's events included."""


class LivePairs(NamedTuple):
    """Each user, item and kind of live events."""

    user: npt.NDArray[np.int64]
    """int64 (n,): rows of the model's users; other users have the rows after them."""
    item: npt.NDArray[np.int64]
    """int64 (n,): item rows."""
    amount: npt.NDArray[np.float64]
    """float64 (n,): the weight of the kind; -1 where it takes back."""
    names: list[str]
    places: dict[int, int]
    """Row -> place in `names`."""
    pairs: Pairs

    def name_of(self, row: int) -> str:
        """The id of the user of a row."""
        return self.names[self.places[row]]


class Trending:
    """Counts over one model's events and those since."""

    def __init__(self, base: Recommender, live: LiveHistories, limits: LiveLimits) -> None:
        self._base, self._live, self._limits = base, live, limits
        parts = [part for part in base.blend.parts.values() if isinstance(part, Popularity)]
        self._part = parts[0]
        self.half_life = self._part.half_life_days or HALF_LIFE_DAYS
        self._lock = Lock()
        self._last: tuple[tuple[int, int], tuple[Floats, Rows]] | None = None
        self._items = -1, np.empty(0, np.int64)
        self._kinds = np.empty(0, np.float64)
        self._strengths = Derived[tuple[npt.NDArray[np.int64], Days]](live)
        self._rows_of_users = np.empty(0, np.int64)
        self._gone: tuple[int, Rows] = -1, np.empty(0, np.int32)
        self._stored = StoredCounts(live.stored)
        self._stored_rows: dict[int, npt.NDArray[np.int64]] = {}
        self._apart: EventCounts | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing has happened since the model was fitted, so that its own counts hold."""
        return self._live.trends.empty and not self._live.any_forgotten

    def scores(self, dataset: Dataset, of_model: Callable[[], Floats]) -> tuple[Floats, Rows]:
        """float32 (n_items,) in (0, 1], NaN for items without a user; rows of the best ones, ascending.

        `dataset`: with new items. `of_model`: the model's own scores of all items. Computed once per version.
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
        pairs = self._pairs()
        newest = self._newest(pairs, dataset)
        live, settled = self._now(dataset, pairs, newest)
        n, n_old, users = dataset.n_items, self._base.dataset.n_items, self._user_weights
        total = np.nan_to_num(of_model).astype(np.float64) * self._top * live.past
        if len(gone := self.forgotten):
            total[:n_old] -= np.asarray(users[gone].sum(axis=0), np.float64).ravel() * live.past
        heard = ~np.isnan(of_model)
        for some in (live, settled):
            own = np.zeros(len(some.weight))
            known = (some.user < users.shape[0]) & (some.item < n_old) & ~np.isin(some.user, gone)
            if known.any():
                before = users[some.user[known], some.item[known]]
                own[known] = np.asarray(before, np.float64).ravel() * some.past
            # A user counts once: with the strongest event, of the model or live.
            more = some.weight - own
            total += np.bincount(some.item, more if some.settled else np.maximum(more, 0.0), n)
            heard[some.item[some.weight > 0]] = True
        if self._stored:
            sums, scale = self._sums(pairs, newest)
            rows = self.rows_of_stored(dataset)
            known = rows >= 0
            total[rows[known]] += sums.total[known] * scale
            heard[rows[known & (sums.heard > 0)]] = True
        total = np.maximum(total, 0.0)
        top = float(total[heard].max(initial=0.0)) or 1.0
        # Decay may round the weight of an old item to 0; it still has a score.
        tiny = np.finfo(np.float32).tiny
        return np.where(heard, np.maximum(total / top, tiny), np.nan).astype(np.float32)

    def _pairs(self) -> Pairs:
        """Pairs of all users who moved. Those whom the model knows to be against something move first: what
        is left of their pairs has to be looked up.
        """
        counts, against = self._live.trends, self._base.dataset.against
        if against is not None and self._apart is not counts:
            names = self._base.dataset.user_ids.ids(np.unique(against.user))
            counts.move(np.array([self._live.stored.index(name) for name in names], np.int64))
            self._apart = counts
        return counts.pairs()

    def _newest(self, pairs: Pairs, dataset: Dataset) -> float:
        """The day of the newest event of all; days count as they are without gaps."""
        good = (self._item_rows(dataset)[pairs.item] >= 0) & (self._amounts()[pairs.item] > 0)
        gaps = self._live.gaps_after(self.end)
        newest = float(gaps.closed(pairs.day[good]).max(initial=-np.inf))
        if self._stored:
            days = self._stored.newest(pairs, self._amounts_of_stored)[self.rows_of_stored(dataset) >= 0]
            newest = max(newest, float(gaps.closed(days).max(initial=-np.inf)))
        return float(np.fmax(newest, self.end))

    def _at(self, gaps: Gaps) -> float:
        """The newest day of the store at the start."""
        return float(gaps.closed(np.array([self._live.stored.newest]))[0])

    def _weight(self) -> LogWeight:
        """Of an event at the start: 1 on the newest day of then."""
        gaps, amounts = self._live.gaps_after(self.end), self._amounts_of_stored()
        at = self._at(gaps)
        return lambda some: amounts[some.deed] + (gaps.closed(some.day) - at) / self.half_life

    def _amounts_of_stored(self) -> Days:
        return log_amounts(self._live.stored, self._live.meanings, self._base.dataset.meanings)

    def _sums(self, pairs: Pairs, newest: float) -> tuple[Sums, float]:
        """What users add who have not moved, and by what that has to be multiplied."""
        stored, gaps = self._live.stored, self._live.gaps_after(self.end)
        at = self._at(gaps)
        n = int(np.searchsorted(gaps.starts, stored.newest, "right"))
        timeless = np.isnan(self.end)  # what the model has does not get older
        state = gaps.starts[:n], gaps.days[:n], newest if timeless else 0.0
        scale = np.exp2(((newest if timeless else self.end) - at) / self.half_life)
        sums = self._stored.sums(
            pairs, state, self._weight, lambda: self.model_of_stored(self._user_weights), float(scale)
        )
        return sums, float(np.exp2((at - newest) / self.half_life))

    def model_of_stored(self, weights: sparse.csr_matrix) -> Model:
        """`weights`: csr (n_users, n_items), of the model's users and items."""
        rows = self.rows_of_stored(self._base.dataset)
        return Model(weights, self._user_rows(), rows, self.forgotten)

    def rows_of_stored(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Item rows of what was in the store at the start, -1 for items that the shop does not have."""
        kept = self._stored_rows
        if (rows := kept.get(dataset.n_items)) is None:
            rows = dataset.item_ids.rows(self._live.stored.items).astype(np.int64)
            model = self._base.dataset.n_items
            self._stored_rows = {n: one for n, one in kept.items() if n == model} | {dataset.n_items: rows}
        return rows

    def _now(self, dataset: Dataset, pairs: Pairs, newest: float) -> tuple[_Now, _Now]:
        """Live pairs that only add to what the model knows, and those of which something was taken back."""
        item = self._item_rows(dataset)[pairs.item]
        user = self._user_rows()[pairs.user]
        amount = self._amounts()[pairs.item]
        good = item >= 0
        day = self._live.gaps_after(self.end).closed(pairs.day[good])
        user, item, amount = user[good], item[good].astype(np.int64), amount[good]
        past = 1.0 if np.isnan(self.end) else float(np.exp2((self.end - newest) / self.half_life))
        weight = np.exp2((day - newest) / self.half_life) * amount
        pair = user * dataset.n_items + item
        taken = np.union1d(pair[amount < 0], self._against(dataset.n_items))
        settled = np.isin(pair, taken) if len(taken) else np.zeros(len(pair), bool)
        different, first = np.unique(pair[settled], return_index=True)
        left = self._settled(dataset, different, pairs.user[good][settled][first], newest)
        some = ~settled & (amount > 0)
        if (amount != amount[:1]).any():  # several kinds: each pair counts once, with the strongest event
            order = np.lexsort((-weight, pair))
            order = order[some[order]]
            some = order[np.append(True, np.diff(pair[order]) != 0)[: len(order)]]
        return _Now(user[some], item[some], weight[some], past), left._replace(past=past)

    def _amounts(self) -> Days:
        """float64: weight of the kind of each item and kind in the counts, -1 where it takes back."""
        meanings = self._base.dataset.meanings
        kinds = [kind for _, kind in list(self._live.trends.items)[len(self._kinds) :]]
        new = [-1.0 if kind == TAKEN_BACK else meanings.meaning(kind).weight for kind in kinds]
        self._kinds = np.concatenate([self._kinds, new])
        return self._kinds

    def _against(self, n_items: int) -> npt.NDArray[np.int64]:
        """int64: pairs that the model's own events stand against, which a look does not bring back."""
        against = self._base.dataset.against
        if against is None:
            return np.empty(0, np.int64)
        return against.user.astype(np.int64) * n_items + against.item

    def _settled(
        self, dataset: Dataset, pairs: npt.NDArray[np.int64], indices: npt.NDArray[np.int64], newest: float
    ) -> _Now:
        """What is left of some pairs, ascending. `indices`: of their users in the counts."""
        users, item = np.divmod(pairs, dataset.n_items)
        strength = np.full(len(pairs), -np.inf)
        names = list(self._live.trends.users) if len(pairs) else []
        starts = np.flatnonzero(np.diff(users, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(users)]):
            strength[start:end] = self._strength(dataset, names[indices[start]], item[start:end], newest)
        return _Now(users, item, np.exp2((strength - newest) / self.half_life), 1.0, settled=True)

    def _strength(self, dataset: Dataset, user: str, items: npt.NDArray[np.int64], newest: float) -> Days:
        """float64 (len(items),): the day on which an event of weight 1 would count as much as the strongest
        that stands of each item; -inf where none does. The same until the user does something else.
        """
        own, gap = self._live.of(user), self._live.gaps_after(self.end)
        kept = self._strengths.of(user, own, gap)
        if kept is not None and np.array_equal(kept[0], items):
            return kept[1]
        row = -1 if self._live.is_forgotten(user) else self._base.dataset.user_ids.get(user)
        live = dataset.item_ids.rows(own.items), gap.closed(np.array(own.days)), own.deeds
        log = self._base.log_of(row)
        stands = own_history(log, row, self._base.dataset, dataset.n_items, live, self.end)
        weight = np.ones(len(stands.item)) if stands.weight is None else stands.weight.astype(np.float64)
        days = np.nan_to_num(stands.day, nan=newest) + self.half_life * np.log2(weight)
        found: Days = np.array([days[stands.item == item].max(initial=-np.inf) for item in items.tolist()])
        if not np.isnan(stands.day).any():
            self._strengths.keep(user, own, gap, (items, found))
        return found

    @cached_property
    def end(self) -> float:
        """The day of the model's last event; nan where its events have no times."""
        return float(self._base.histories.now[0]) if self._base.dataset.n_users else float("nan")

    def _item_rows(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Item rows by their indices in the counts, -1 for items that the shop does not have."""
        if self._items[0] != dataset.n_items:
            self._items = dataset.n_items, np.empty(0, np.int64)
        rows = self._items[1]
        names = [item for item, _ in list(self._live.trends.items)[len(rows) :]]
        rows = np.concatenate([rows, dataset.item_ids.rows(names)])
        self._items = dataset.n_items, rows
        return rows

    def _user_rows(self) -> npt.NDArray[np.int64]:
        """Rows by indices in the counts: of the model's users; other users have the rows after them."""
        known, n = self._rows_of_users, self._base.dataset.n_users
        names = list(self._live.trends.users)[len(known) :]
        rows = self._base.dataset.user_ids.rows(names).astype(np.int64)
        new = np.where(rows < 0, n + len(known) + np.arange(len(rows)), rows)
        self._rows_of_users = np.concatenate([known, new])
        return self._rows_of_users

    @cached_property
    def _user_weights(self) -> sparse.csr_matrix:
        """csr float32 (n_users, n_items): the weight of each user of the model for each item."""
        return self._part.people(self._base.dataset)

    @cached_property
    def _top(self) -> float:
        """Users of the model's most popular item."""
        return float(np.asarray(self._user_weights.sum(axis=0), np.float64).max(initial=0.0)) or 1.0

    def live_pairs(self, dataset: Dataset) -> LivePairs:
        """Each user, item and kind once, of users who have moved and items that the shop has."""
        with self._lock:
            pairs = self._pairs()
            item, user = self._item_rows(dataset)[pairs.item], self._user_rows()[pairs.user]
            good = item >= 0
            amount = self._amounts()[pairs.item]
            names = list(self._live.trends.users)
            index = dict(zip(user[good].tolist(), pairs.user[good].tolist(), strict=True))
        return LivePairs(user[good], item[good].astype(np.int64), amount[good], names, index, pairs)

    @property
    def forgotten(self) -> Rows:
        """int32: rows of the model's users who have been deleted."""
        number = self._live.forgotten.number
        if self._gone[0] != number:  # hashing a million names takes about a second
            names = enumerate(self._base.dataset.user_ids.all)
            rows = [row for row, name in names if self._live.is_forgotten(name)]
            self._gone = number, np.array(rows, np.int32)
        return self._gone[1]

    # Categories

    def links(self, dataset: Dataset, n: int, only: Sequence[str] = ()) -> CategoryLinks:
        """The `n` categories with the most users (or those named), and the lift of each pair over chance.

        A user has a category with the weight of the newest event in it, and two with that of the older one.
        """
        codes, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
        with self._lock:
            own = self._shopped(dataset, codes, len(names))
        users = np.asarray(own.sum(axis=0), np.float64).ravel()
        top = np.argsort(-users, kind="stable")[: min(n, int((users > 0).sum()))]
        if only:
            code = {name: at for at, name in enumerate(names)}
            named = [code[name] for name in dict.fromkeys(only) if name in code]
            top = np.array([at for at in named if users[at] > 0], np.int64)
        both = np.zeros((len(top), len(top)))
        columns = own[:, top]
        for start in range(0, own.shape[0], TOGETHER):
            part = columns[start : start + TOGETHER].toarray()
            for at in range(len(top)):
                both[at] += np.minimum(part, part[:, [at]]).sum(axis=0, dtype=np.float64)
        active = (0 not in own.shape and float(own.max(axis=1).sum())) or 1.0
        lift = both * active / np.outer(users[top], users[top]) if len(top) else both
        return CategoryLinks(
            names=tuple(names[code] for code in top),
            users=tuple(round(float(count), 1) for count in users[top]),
            lift=tuple(tuple(round(float(value), 3) for value in row) for row in lift),
        )

    def _shopped(self, dataset: Dataset, codes: npt.NDArray[np.int32], n: int) -> sparse.csr_matrix:
        """csr float32 (users, categories): weight of the newest event of each user in each category."""
        old = self._base.dataset
        matrix = old.matrix().tocoo()
        keep = (codes[matrix.col] >= 0) & ~np.isin(matrix.row, self.forgotten)
        rows, columns = matrix.row[keep].astype(np.int64), codes[matrix.col[keep]]
        if self.silent:
            values = np.ones(len(rows))
        else:
            pairs = self._pairs()
            newest = self._newest(pairs, dataset)
            live, _ = self._now(dataset, pairs, newest)
            known = codes[live.item] >= 0
            rows = np.concatenate([rows, live.user[known]])
            columns = np.concatenate([columns, codes[live.item[known]]])
            values = np.concatenate([np.full(int(keep.sum()), live.past), live.weight[known]])
            for others in self._others(dataset, codes, pairs, newest):
                rows = np.concatenate([rows, others[0]])
                columns = np.concatenate([columns, others[1]])
                values = np.concatenate([values, others[2]])
        key = rows * max(n, 1) + columns
        order = np.lexsort((-values, key))
        key, values = key[order], values[order]
        first = np.append(True, key[1:] != key[:-1])[: len(key)]
        shape = (int(rows.max(initial=-1)) + 1, n)
        where = np.divmod(key[first], max(n, 1))
        return sparse.csr_matrix((values[first], where), shape=shape)

    def _others(
        self, dataset: Dataset, codes: npt.NDArray[np.int32], pairs: Pairs, newest: float
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Days]]:
        """Users, categories and weights of those who have not moved, some users at a time."""
        rows, users = self.rows_of_stored(dataset), self._user_rows()
        scale = np.exp2((self._at(self._live.gaps_after(self.end)) - newest) / self.half_life)
        for some in self._stored.pairs(pairs, self._weight):
            item = rows[some.item]
            code = np.where(item >= 0, codes[item], -1)
            known = code >= 0
            yield users[some.user[known]], code[known], some.weight[known] * scale
