"""Selects items: drops excluded categories, items without a required category, and rare items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crossaisle.config import DataConfig
from crossaisle.data.ingest.codes import Raw, compact
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.tables import Items
from crossaisle.data.ingest.whole import Mask
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.errors import ConfigError, DataError, UnknownIdError


class Known(NamedTuple):
    """Items known to a model, when only new data is imported."""

    ids: Sequence[str] = ()
    unlisted: int = 0
    """The number of these items, at the end, that occur in no file."""


def excluded_items(items: Items, level: int, config: DataConfig, ledger: Ledger) -> Mask:
    """Marks and records items of excluded categories, and those without a category if one is required."""
    out = np.zeros(len(items.frame), bool)
    taxonomy = Taxonomy(tuple(items.paths))
    if config.require_category:
        needed = level + 1 if level >= 0 else 1
        out = np.array([not p or len(p[0]) < needed for p in items.paths], bool)
        ledger.set_aside("items", "no_category", "categories", items.rows[out])
    for name in config.exclude_categories:
        try:
            rows = taxonomy.find(name)
        except UnknownIdError as error:
            raise ConfigError(f"[data]: exclude_categories: {error}") from None
        rows = rows[~out[rows]]
        out[rows] = True
        ledger.set_aside("items", "excluded_category", "categories", items.rows[rows], [name] * len(rows))
    return out


def choose_items(
    raw: Raw, items: Items, excluded: Mask, config: DataConfig, ledger: Ledger, known: Known
) -> tuple[Raw, Items]:
    """Drops excluded and rare items, and the events of rare ones.

    `known` items are never too rare; those that the files do not list are dropped if they have no events.
    """
    gone = excluded.copy()
    ids = items.frame["item_id"]
    if known.unlisted:
        used = np.zeros(len(gone), bool)
        used[raw.item] = True
        gone[len(gone) - known.unlisted :] |= ~used[len(gone) - known.unlisted :]
    if config.min_users_per_item > 0 and len(raw):
        pairs = np.unique(raw.item.astype(np.int64) * len(raw.users) + raw.user)
        n_users = np.bincount(pairs // len(raw.users), minlength=len(gone))
        rare = (n_users < config.min_users_per_item) & ~gone & ~ids.is_in(known.ids).to_numpy()
        gone |= rare
        rule = f"fewer_than_{config.min_users_per_item}_users"
        if "items" in ledger.tallies:
            rows = np.flatnonzero(rare)
            ledger.set_aside("items", rule, "item_id", items.rows[rows], ids.gather(rows))
        drop = rare[raw.item]
        if drop.any():
            assert raw.rows is not None
            values = ids.gather(raw.item[drop])
            ledger.set_aside("events", rule, "item_id", raw.rows[drop], values)
            raw = without(raw, drop)
        if not len(raw):
            raise DataError(
                f"no item has {config.min_users_per_item} users: lower min_users_per_item",
                file=ledger.tallies["events"].file,
            )
    if not gone.any():
        return raw, items
    keep = np.flatnonzero(~gone)
    new = np.full(len(gone), -1, np.int32)
    new[keep] = np.arange(len(keep), dtype=np.int32)
    raw = replace(raw, item=new[raw.item])
    return raw, items.take(keep)


def without(raw: Raw, drop: Mask) -> Raw:
    """Drops some events, and users left without any."""
    keep = ~drop
    user, used = compact(raw.user[keep], len(raw.users))
    return Raw(
        user,
        [name for name, still in zip(raw.users, used, strict=True) if still],
        raw.item[keep],
        raw.items,
        None if raw.micros is None else raw.micros[keep],
        None if raw.position is None else raw.position[keep],
        raw.kind[keep],
        raw.kinds,
        raw.value[keep],
        raw.quantity[keep],
        compact(raw.basket[keep], int(raw.basket.max()) + 1)[0],
        None if raw.rows is None else raw.rows[keep],
    )
