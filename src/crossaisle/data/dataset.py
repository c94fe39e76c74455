"""`Dataset`: frozen, integer-coded tables and vocabularies; the form of the data that all later steps use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.distinct import run_starts
from crossaisle.data.history import Floats, Histories, decayed
from crossaisle.data.kinds import PURCHASE, ROLES, VIEW, Kinds
from crossaisle.data.standing import standing
from crossaisle.data.taxonomy import SEPARATOR, Taxonomy
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.sharing import shared

FEWEST = 50
"""Roles with fewer events are too rare to select or evaluate models by."""


@dataclass(frozen=True)
class Events:
    """Integer-coded events, sorted by user, then time, then input order. All arrays have length n.

    If the data has baskets but no users, each basket is treated as an anonymous user.
    """

    user: Rows
    """int32: user row."""
    item: Rows
    """int32: item row."""
    time: npt.NDArray[np.int64] | None
    """int64 seconds since 1970 (UTC), or None when only the order is known."""
    kind: npt.NDArray[np.int8]
    """int8: index into `Dataset.kinds`."""
    value: npt.NDArray[np.float32]
    """float32: rating, price paid, ...; NaN where absent."""
    quantity: npt.NDArray[np.float32]
    """float32: units, 1 where absent."""
    basket: Rows
    """int32: basket code, -1 where absent."""
    weight: Floats | None = None
    """float32: weight of each event, above 0 and at most about 1; None if all events count the same."""

    def __len__(self) -> int:
        return len(self.item)

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_] | slice) -> Events:
        """A subset in the order of `index`, so the result is sorted if `index` is ascending."""
        return Events(
            self.user[index],
            self.item[index],
            None if self.time is None else self.time[index],
            self.kind[index],
            self.value[index],
            self.quantity[index],
            self.basket[index],
            None if self.weight is None else self.weight[index],
        )

    @classmethod
    def joined(cls, one: Events, other: Events) -> Events:
        """Merges two sorted sets of events, without weights; at equal times, `one` comes before `other`."""
        timed = one.time is not None and other.time is not None
        keys = (other.user,) if other.time is None or not timed else (other.time, other.user)
        other = other.take(np.lexsort(keys))
        at = _places(one, other) if timed else np.searchsorted(one.user, other.user, side="right")
        both: dict[str, Any] = {}
        for name in ("user", "item", "time", "kind", "value", "quantity", "basket"):
            mine, theirs = getattr(one, name), getattr(other, name)
            both[name] = None if mine is None or theirs is None else np.insert(mine, at, theirs)
        return cls(**both)


def _places(one: Events, other: Events) -> npt.NDArray[np.intp]:
    """int (len(other),): insertion points of sorted events, after those of `one` with the same user and
    time."""
    assert one.time is not None
    assert other.time is not None
    if not (len(one) and len(other)):
        return np.zeros(len(other), np.intp)
    first = min(int(one.time.min()), int(other.time.min()))
    span = max(int(one.time.max()), int(other.time.max())) - first + 1
    if span * (1 + int(max(one.user[-1], other.user[-1]))) < np.iinfo(np.int64).max:
        mine = one.user * np.int64(span) + (one.time - first)
        return np.searchsorted(mine, other.user * np.int64(span) + (other.time - first), side="right")
    order = np.lexsort([np.concatenate(pair) for pair in ((one.time, other.time), (one.user, other.user))])
    return np.flatnonzero(order >= len(one)) - np.arange(len(other))


@dataclass(frozen=True)
class Dataset:
    """One shop: items, users and events, with the vocabularies that join them.

    `items` has one row per item row, columns `item_id, title, description, brand` (String, "" if
    missing), `price` (Float32, null if missing), `image` and `url` (String or null), `in_stock` (Boolean),
    `attributes` (String: a JSON object, "" if missing); optionally the columns of `data.windows`, `currency`
    (String) if there are several, and `group` (String or null): items with the same value are one product.
    `users` has `user_id` and the shop's own attributes. Both are in vocabulary order.
    """

    items: pl.DataFrame
    users: pl.DataFrame
    events: Events
    item_ids: Vocabulary
    user_ids: Vocabulary
    taxonomy: Taxonomy
    kinds: tuple[str, ...] = ("purchase",)
    name: str = "shop"
    currency: str = ""
    """Currency of the prices: a code such as EUR, or a sign; "" if unknown."""
    users_are_baskets: bool = False
    """True if the data has no users: every basket is one anonymous history."""
    meanings: Kinds = field(default_factory=Kinds)
    """The meanings of the event kinds."""
    log: Events | None = None
    """The full log of events, if `events` has been reduced to those that still stand (see `settled`)."""
    words: WordForms = field(default_factory=WordForms)
    """Which words of item texts the word-based models read."""
    cleaning: ItemCleaning = field(default_factory=ItemCleaning)
    """How the import cleaned texts, for items that arrive later."""
    against: Events | None = None
    """Negative feedback that stands against items: dislikes, low ratings, returns."""

    def __post_init__(self) -> None:
        if "url" not in self.items.columns:  # saved before items had a `url`
            no_urls = self.items.with_columns(pl.lit(None, pl.String).alias("url"))
            object.__setattr__(self, "items", no_urls)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def has_time(self) -> bool:
        return self.events.time is not None

    def with_events(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> Dataset:
        """The same shop with a subset of its events; the vocabularies are unchanged, and with them all row
        numbers."""
        return replace(self, events=self.events.take(keep), log=None)

    def settled(self) -> Dataset:
        """The same shop with `events` interpreted as a log: only those that still stand, with their weights.

        Purchases that were returned and events that were disliked or undone are dropped, views of an item
        within minutes are merged, and kinds that express no interest are left out; see `data.standing`.
        """
        log, meanings = self.events, self.meanings.relative_to(self.kinds)
        role = meanings.roles(self.kinds, log.kind, log.value, log.quantity)
        weight = meanings.amounts(self.kinds, log.kind)
        plain = len(log) == 0 or (bool((role == role[0]).all()) and VIEW < role[0] <= PURCHASE)
        if plain and not meanings.quantities and (weight == 1.0).all():
            plain_log = log if log.weight is None else replace(log, weight=None)
            return replace(self, events=plain_log, log=None, against=None, meanings=meanings)
        units, against = standing(log.user, log.item, log.time, role, log.quantity, self.n_items)
        weight = meanings.amounts(self.kinds, log.kind, units)
        stands = (units > 0) & (weight > 0)
        alike = bool((weight[stands] == 1.0).all())
        some = replace(log, quantity=np.where(stands, units, log.quantity), weight=None if alike else weight)
        return replace(
            self,
            events=some if stands.all() else some.take(stands),
            log=None if stands.all() else replace(log, weight=None),
            against=log.take(against) if len(against) else None,
            meanings=meanings,
        )

    @property
    def raw(self) -> Dataset:
        """The inverse of `settled`: `events` are the full log."""
        log = replace(self.events, weight=None) if self.log is None else self.log
        if self.log is None and self.against is not None:
            log = Events.joined(log, self.against)
        return replace(self, events=log, log=None, against=None)

    def before(self, seconds: int) -> Dataset:
        """The shop as it was known at a time, in seconds since 1970: later returns do not apply yet."""
        raw = self.raw
        assert raw.events.time is not None
        return replace(raw, events=raw.events.take(raw.events.time < seconds)).settled()

    def meaning(self, meanings: Kinds) -> Dataset:
        """The same log with different meanings of its kinds."""
        return replace(self.raw, meanings=meanings).settled()

    @cached_property
    def roles(self) -> npt.NDArray[np.int8] | None:
        """int8 (len(events),): codes of `data.kinds.ROLES`; None if all events have the same role."""
        table = np.array([ROLES.index(self.meanings.meaning(name).role) for name in self.kinds], np.int8)
        role = table[self.events.kind]
        return None if len(role) == 0 or (role == role[0]).all() else role

    @cached_property
    def role(self) -> int:
        """The common role of all events, a code of `data.kinds.ROLES`; -1 if there are several."""
        if self.roles is not None:
            return -1
        kind = self.events.kind[0] if len(self.events) else 0
        return ROLES.index(self.meanings.meaning(self.kinds[kind]).role)

    @cached_property
    def wanted(self) -> npt.NDArray[np.bool_]:
        """bool (len(events),): the events to predict, that is, those of the strongest role with at least
        `FEWEST` events, or else of the strongest role present."""
        if self.roles is None:
            return np.ones(len(self.events), bool)
        counts = np.bincount(self.roles, minlength=len(ROLES))
        often = np.flatnonzero(counts >= FEWEST)
        found: npt.NDArray[np.bool_] = self.roles == (often if len(often) else np.flatnonzero(counts))[-1]
        return found

    @cached_property
    def disliked(self) -> Histories | None:
        """The items that each user has given negative feedback on, for all user rows; None if there are
        none."""
        if self.against is None:
            return None
        one = self.against
        counts = np.bincount(one.user, minlength=self.n_users)
        day = np.full(len(one), np.nan) if one.time is None else one.time / SECONDS_PER_DAY
        return Histories(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            one.item,
            day,
            np.arange(self.n_users, dtype=np.int32),
            np.full(self.n_users, np.nan),
        )

    @cached_property
    def user_indptr(self) -> npt.NDArray[np.int64]:
        """int64 (n_users + 1,): where each user's events start."""
        counts = np.bincount(self.events.user, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,): events per item."""
        return np.bincount(self.events.item, minlength=self.n_items)

    def histories(self, users: Sequence[int] | Rows | None = None, *, now: float | None = None) -> Histories:
        """Histories of some users (by default all), oldest event first.

        `now`: time of the query in days since 1970; by default that of the last event in the data set.
        """
        rows = np.arange(self.n_users, dtype=np.int32) if users is None else np.asarray(users, np.int32)
        time = self.events.time
        if time is None:
            day, moment = np.full(len(self.events), np.nan), np.nan
        else:
            day = shared(time, "days", lambda: time / SECONDS_PER_DAY)
            moment = (day.max() if len(day) else np.nan) if now is None else now
        everyone = Histories(
            self.user_indptr,
            self.events.item,
            day,
            np.arange(self.n_users, dtype=np.int32),
            np.full(self.n_users, moment),
            weight=self.events.weight,
            role=self.roles,
            disliked=self.disliked,
        )
        return everyone if users is None else everyone.take(rows)

    def matrix(self, *, binary: bool = True) -> sparse.csr_matrix:
        """csr float32 (n_users, n_items): 1 where a user had any event with an item, or the number of events.

        If events differ in weight: the largest weight, or the sum of weights.
        """
        weighted = binary and self.events.weight is not None
        out = self.histories().matrix(None, self.n_items, combine="max" if weighted else "sum")
        if binary and not weighted:
            out.data[:] = 1.0
        return out

    def basket_matrix(self) -> sparse.csr_matrix:
        """csr float32 (n_baskets, n_items): 1 where a basket contains an item; users if there are no baskets.

        If events differ in weight: the largest weight.
        """
        basket, item = self.events.basket, self.events.item
        known = basket >= 0
        if self.users_are_baskets or not known.any():
            return self.matrix()
        shape = (int(basket.max()) + 1, self.n_items)
        if self.events.weight is not None:
            return strongest(basket[known], item[known], self.events.weight[known], shape)
        one = np.ones(int(known.sum()), np.float32)
        out = sparse.csr_matrix((one, (basket[known], item[known])), shape=shape)
        out.data[:] = 1.0
        return out

    def basket_days(self) -> npt.NDArray[np.float64]:
        """float64 (n_baskets,): day of each row of `basket_matrix`; NaN if unknown."""
        events, time = self.events, self.events.time
        known = events.basket >= 0
        owner = events.user if self.users_are_baskets or not known.any() else events.basket
        n = self.n_users if owner is events.user else int(owner.max()) + 1
        days = np.full(n, np.nan)
        if time is not None:
            np.fmax.at(days, owner[owner >= 0], time[owner >= 0] / SECONDS_PER_DAY)
        return days

    def basket_weights(self, half_life_days: float | None) -> Floats:
        """float32 (n_baskets,): 1 for the newest basket, halved for every `half_life_days` of age.

        0 for an empty basket, one whose events are all held out.
        """
        filled = np.diff(self.basket_matrix().tocsr().indptr) > 0
        return np.where(filled, decayed(self.basket_days(), half_life_days), np.float32(0.0))

    @cached_property
    def item_texts(self) -> tuple[str, ...]:
        """One text per item, as read by encoders: title, brand, categories, attributes, description.

        The description comes last, because encoders truncate long texts.
        """
        columns = self.items.select("title", "brand", "attributes", "description").iter_rows()
        texts = []
        for (title, brand, attributes, description), paths in zip(columns, self.taxonomy.paths, strict=True):
            categories = (SEPARATOR.join(p) for p in paths)
            words = (title, brand, *categories, _attribute_text(attributes), description)
            texts.append(". ".join(w for w in words if w))
        return tuple(texts)


def strongest(
    row: npt.NDArray[np.integer], column: npt.NDArray[np.integer], value: Floats, shape: tuple[int, int]
) -> sparse.csr_matrix:
    """csr float32: the largest value in each cell."""
    order = np.lexsort((-value, column, row))
    row, column = row[order], column[order]
    first = run_starts(row, column)
    triple = (value[order][first], (row[first], column[first]))
    return sparse.csr_matrix(triple, shape=shape, dtype=np.float32)


def _attribute_text(attributes: str) -> str:
    if not attributes:
        return ""
    import json

    values = json.loads(attributes).values()
    return " ".join(str(v) for v in values if v is not None and v != "")
