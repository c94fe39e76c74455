"""Items, users and events that were kept -> one `Dataset`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from crossaisle.config import DataConfig
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ingest.codes import Raw
from crossaisle.data.ingest.tables import Items
from crossaisle.data.kinds import Kinds, low_rating
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows, Vocabulary

Positions = npt.NDArray[np.intp]


def assemble(
    raw: Raw,
    items: Items,
    users: pl.DataFrame | None,
    level: int,
    config: DataConfig,
    *,
    users_are_baskets: bool,
    cleaning: ItemCleaning,
) -> Dataset:
    """Joins users and items to the events and sorts these by user, moment, position and input order."""
    table = pl.DataFrame({"user_id": pl.Series(raw.users, dtype=pl.String)})
    user = raw.user
    if users is not None:
        # the shop's own users first, cold ones included, then those that only the events know
        table = pl.concat(
            [users, table.join(users, on="user_id", how="anti", maintain_order="left")], how="diagonal"
        )
        place = Vocabulary(table["user_id"].to_list(), what="user")
        user = place.rows(raw.users)[raw.user]
    order = _order(user, raw, len(table))
    raw.user = user

    def sorted_(name: str) -> Any:
        values = getattr(raw, name)
        setattr(raw, name, None)  # each unsorted column goes as its sorted copy comes
        return values if values is None else values.take(order)

    micros = sorted_("micros")
    events = Events(
        sorted_("user"),
        sorted_("item"),
        None if micros is None else np.floor_divide(micros, 1_000_000, out=micros),
        sorted_("kind"),
        sorted_("value"),
        sorted_("quantity"),
        sorted_("basket"),
    )
    return Dataset(
        items=items.frame,
        users=table,
        events=events,
        item_ids=Vocabulary(items.frame["item_id"].to_list(), what="item"),
        user_ids=Vocabulary(table["user_id"].to_list(), what="user"),
        taxonomy=Taxonomy(tuple(items.paths), level),
        kinds=raw.kinds,
        name=config.name,
        users_are_baskets=users_are_baskets,
        meanings=_meanings(config, raw.kinds, events),
        words=WordForms.of(config.clean, items.frame["title"].to_list()),
        cleaning=cleaning,
    ).settled()


def _meanings(config: DataConfig, names: tuple[str, ...], events: Events) -> Kinds:
    """What the kinds mean, and which ratings are low ones on the scale of this data."""
    kinds = Kinds.of(config)
    rated = np.array([kinds.meaning(name).role == "rating" for name in names], bool)[events.kind]
    if config.low_rating is None and rated.any():
        kinds = replace(kinds, low_rating=low_rating(events.value[rated]))
    return kinds


def _order(user: Rows, raw: Raw, n_users: int) -> Positions:
    """intp positions of the events by user, then moment, then position, then as they came.

    Grouping by user is a counting sort (a transposed sparse matrix), and logs mostly come in order of
    time already: far cheaper than sorting millions of rows by several keys.
    """
    keys = [k for k in (raw.position, raw.micros) if k is not None]
    first = None
    if any((k[1:] < k[:-1]).any() for k in keys):
        first = np.lexsort(keys)
        user = user[first]
    rows = np.arange(len(user) + 1, dtype=np.int32)
    grid = sparse.csr_matrix((np.ones(len(user), bool), user, rows), shape=(len(user), n_users))
    order: Positions = grid.tocsc().indices.astype(np.intp)
    return order if first is None else first[order]
