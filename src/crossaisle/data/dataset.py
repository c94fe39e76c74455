"""`Dataset`: frozen tables and vocabularies, integer-coded once, used by everything after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from crossaisle.data.history import Floats, Histories, decayed
from crossaisle.data.taxonomy import SEPARATOR, Taxonomy
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.sharing import shared


@dataclass(frozen=True)
class Events:
    """Integer-coded events, sorted by user, then time, then input order. All arrays have length n.

    Where the data has baskets but no users, each basket counts as an anonymous user.
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

    def __len__(self) -> int:
        return len(self.item)

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Events:
        """A subset; keeps the order, so that the result is sorted when `index` is."""
        return Events(
            self.user[index],
            self.item[index],
            None if self.time is None else self.time[index],
            self.kind[index],
            self.value[index],
            self.quantity[index],
            self.basket[index],
        )


@dataclass(frozen=True)
class Dataset:
    """One shop: items, users and events, with the vocabularies that join them.

    `items` has one row per item row, columns `item_id, title, description, brand` (String, "" where
    absent), `price` (Float32, null where absent), `image` (String or null), `in_stock` (Boolean),
    `attributes` (String: a JSON object, "" where absent). `users` has `user_id` and whatever
    attributes the shop gave. Both are in vocabulary order.
    """

    items: pl.DataFrame
    users: pl.DataFrame
    events: Events
    item_ids: Vocabulary
    user_ids: Vocabulary
    taxonomy: Taxonomy
    kinds: tuple[str, ...] = ("purchase",)
    name: str = "shop"
    users_are_baskets: bool = False
    """True when the data has no users: every basket is one anonymous history."""

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
        """The same shop with a subset of its events; vocabularies stay whole, so rows keep their meaning."""
        return replace(self, events=self.events.take(keep))

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
        """Histories of some users (all by default), oldest event first.

        `now` is the query's moment in days since 1970; by default the last event of the data set.
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
        )
        return everyone if users is None else everyone.take(rows)

    def matrix(self, *, binary: bool = True) -> sparse.csr_matrix:
        """csr float32 (n_users, n_items): 1 where a user had any event with an item, or the count."""
        out = self.histories().matrix(None, self.n_items)
        if binary:
            out.data[:] = 1.0
        return out

    def basket_matrix(self) -> sparse.csr_matrix:
        """csr float32 (n_baskets, n_items): 1 where a basket has an item; users where there are none."""
        basket, item = self.events.basket, self.events.item
        known = basket >= 0
        if self.users_are_baskets or not known.any():
            return self.matrix()
        one = np.ones(int(known.sum()), np.float32)
        shape = (int(basket.max()) + 1, self.n_items)
        out = sparse.csr_matrix((one, (basket[known], item[known])), shape=shape)
        out.data[:] = 1.0
        return out

    def basket_days(self) -> npt.NDArray[np.float64]:
        """float64 (n_baskets,): day of each row of `basket_matrix`, NaN where unknown."""
        events, time = self.events, self.events.time
        known = events.basket >= 0
        owner = events.user if self.users_are_baskets or not known.any() else events.basket
        n = self.n_users if owner is events.user else int(owner.max()) + 1
        days = np.full(n, np.nan)
        if time is not None:
            np.fmax.at(days, owner[owner >= 0], time[owner >= 0] / SECONDS_PER_DAY)
        return days

    def basket_weights(self, half_life_days: float | None) -> Floats:
        """float32 (n_baskets,): 1 for the newest, half of it `half_life_days` before.

        0 for a basket that holds nothing: where its events are held out, only its number is left.
        """
        filled = np.diff(self.basket_matrix().tocsr().indptr) > 0
        return np.where(filled, decayed(self.basket_days(), half_life_days), np.float32(0.0))

    @cached_property
    def item_texts(self) -> tuple[str, ...]:
        """One text per item, what encoders read: title, brand, categories, attributes, description.

        The description stands last, because encoders cut long texts.
        """
        columns = self.items.select("title", "brand", "attributes", "description").iter_rows()
        texts = []
        for (title, brand, attributes, description), paths in zip(columns, self.taxonomy.paths, strict=True):
            categories = (SEPARATOR.join(p) for p in paths)
            words = (title, brand, *categories, _attribute_text(attributes), description)
            texts.append(". ".join(w for w in words if w))
        return tuple(texts)


def _attribute_text(attributes: str) -> str:
    if not attributes:
        return ""
    import json

    values = json.loads(attributes).values()
    return " ".join(str(v) for v in values if v is not None and v != "")
