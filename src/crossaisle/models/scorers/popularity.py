"""`Popularity`: how many users had an item, recent ones counting more. The same for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.rough import Rough, SameForAll
from crossaisle.models.space import Range, Space
from crossaisle.models.topk import Mask, first_of
from crossaisle.models.updates import COUNTED, Change, Counts, Updated


@dataclass(kw_only=True)
class Popularity(Scorer):
    """Users per item, relative to the most popular one: scores lie in (0, 1], or are its logarithm.

    A user counts once per item, with the weight of the strongest event, so that one household's
    hundred yoghurts do not make a trend.
    """

    half_life_days: float | None = field(default=None, metadata={"low": 0.001, "high": 1e9})
    """An event this much older than the data's last one counts half. None: all count the same."""
    half_life_events: float | None = field(default=None, metadata={"low": 0.01, "high": 1e9})
    """The same by order, for data without times: an event this many places before its user's newest."""

    baskets: bool = False
    """Count single baskets instead of users: what is in most carts, not what most people had."""
    log: bool = False
    """Scores are ln(popularity), plus what makes the least popular item 0: for sums with other logarithms."""

    popularity_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,), NaN for items without an event."""
    kind: ClassVar[str] = "popularity"
    space: ClassVar[Space] = {
        "half_life_days": Range(low=3.0, high=1000.0),
    }
    reason: ClassVar[str] = "popular"
    learned: ClassVar[tuple[str, ...]] = ("popularity_",)
    gaps: ClassVar[tuple[str, ...]] = learned

    def people(self, dataset: Dataset) -> sparse.csr_matrix:
        """csr float32 (n_users, n_items): what each user counts for each item."""
        histories = dataset.histories()
        if dataset.has_time:
            decay = Decay(half_life_days=self.half_life_days)
        else:
            # Decay counts in e-folds, a half-life is ln 2 of one.
            places = self.half_life_events
            decay = Decay(events=None if places is None else places / np.log(2.0))
        return histories.matrix(decay.weights(histories), dataset.n_items, combine="max")

    def _baskets(self, dataset: Dataset) -> sparse.csr_matrix:
        """csr float32 (n_baskets, n_items): what each basket counts for each item."""
        baskets, weight = dataset.basket_matrix(), dataset.basket_weights(self.half_life_days)
        return sparse.csr_matrix(sparse.diags_array(weight) @ baskets, dtype=np.float32)

    def fit(self, dataset: Dataset) -> Popularity:
        return self.learn(self.count(dataset)["held"], dataset)

    def count(self, dataset: Dataset) -> Counts:
        """`held` float64 (n_items,): what users count for each item at the last event; `moment` float64 (1,):
        its time, in seconds since 1970."""
        counted = self._baskets(dataset) if self.baskets else self.people(dataset)
        time = dataset.events.time
        last = 0.0 if time is None or not len(time) else float(time.max())
        held = np.asarray(counted.sum(axis=0, dtype=np.float64)).ravel()
        return {"held": held, "moment": np.array([last])}

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """Exact, but for rounding: all older sums fade alike."""
        if not change.adds_up or (self.half_life_days is not None and not change.after.has_time):
            return super().update(change)
        before = self.count(change.before) if counts is None else counts
        parts = [before, self.count(change.now), self.count(change.then)]
        moment = np.maximum.reduce([part["moment"] for part in parts])
        half_life = np.inf if self.half_life_days is None else self.half_life_days * SECONDS_PER_DAY
        held = [part["held"] * 0.5 ** ((moment - part["moment"]) / half_life) for part in parts]
        n = change.after.n_items
        held = [np.pad(part, (0, n - len(part))) for part in held]
        after = {"held": held[0] + held[1] - held[2], "moment": moment}
        return Updated(replace(self).learn(after["held"], change.after), COUNTED, after)

    def learn(self, total: npt.NDArray[np.float64], dataset: Dataset) -> Popularity:
        """What `fit` does once it has counted."""
        # A decay may round an old item's weight to nothing; it is known all the same.
        total = np.where(dataset.item_counts > 0, np.maximum(total, np.finfo(np.float32).tiny), np.nan)
        top = np.nanmax(total, initial=0.0)
        share = total / (top or 1.0)
        if self.log:
            share = np.log(share)
            share -= np.nanmin(share, initial=0.0)
        self.popularity_ = share.astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items), all rows equal; NaN for items without an event."""
        self.check_fitted()
        return np.tile(self.popularity_, (len(histories), 1))

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough:
        return SameForAll(self.popularity_, len(histories))

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        return [np.sort(first_of(self._order, k, among))] * len(histories)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        return [self.popularity_[at] for at in rows]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: no event of the history has a part in it."""
        self.check_fitted()
        return np.zeros(len(histories.item), np.float32), float(np.nan_to_num(self.popularity_[item]))

    @cached_property
    def _order(self) -> Rows:
        """int32: items with an event, the most popular first."""
        known = np.flatnonzero(~np.isnan(self.popularity_))
        return known[np.argsort(-self.popularity_[known], kind="stable")].astype(np.int32)
