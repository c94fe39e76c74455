"""Assembles the items, users and events that were kept into one `Dataset`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from crossaisle.config import DataConfig
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ingest.codes import Raw
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.spill.columns import replaced
from crossaisle.data.ingest.spill.sort import sorted_by_user
from crossaisle.data.ingest.tables import Items
from crossaisle.data.kinds import Kinds, low_rating
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary


def assemble(
    raw: Raw,
    items: Items,
    users: pl.DataFrame | None,
    level: int,
    config: DataConfig,
    *,
    users_are_baskets: bool,
    cleaning: ItemCleaning,
    limits: ReadLimits = READ_LIMITS,
) -> Dataset:
    """Joins users and items to the events, which are sorted by user, time, position and input order."""
    room = limits.events_in_memory
    table = pl.DataFrame({"user_id": pl.Series(raw.users, dtype=pl.String)})
    user = raw.user
    if users is not None:
        # the shop's own users first, cold ones included, then users that occur only in events
        table = pl.concat(
            [users, table.join(users, on="user_id", how="anti", maintain_order="left")], how="diagonal"
        )
        place = Vocabulary(table["user_id"].to_list(), what="user")
        user = replaced(raw.user, place.rows(raw.users), room)
    raw.user = user
    columns: dict[str, np.ndarray] = {}
    for name in ("micros", "position", "user", "item", "kind", "value", "quantity", "basket"):
        if getattr(raw, name) is not None:
            columns[name] = getattr(raw, name)
            setattr(raw, name, None)  # frees each unsorted column once its sorted copy exists
    del user
    keys = tuple(name for name in ("position", "micros") if name in columns)
    ordered = sorted_by_user(columns, keys, len(table), room)
    micros = ordered.get("micros")
    events = Events(
        ordered["user"],
        ordered["item"],
        None if micros is None else np.floor_divide(micros, 1_000_000, out=micros),
        ordered["kind"],
        ordered["value"],
        ordered["quantity"],
        ordered["basket"],
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
    """The meanings of the event kinds, with the bound of low ratings on this data's scale."""
    kinds = Kinds.of(config)
    rated = np.array([kinds.meaning(name).role == "rating" for name in names], bool)[events.kind]
    if config.low_rating is None and rated.any():
        kinds = replace(kinds, low_rating=low_rating(events.value[rated]))
    return kinds
