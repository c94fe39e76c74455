"""`with_new`: a model's shop with the events and items of an import that it does not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.taxonomy import Paths
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import DataError
from crossaisle.models.updates import Change

MOST_KINDS = 127
"""Kinds have codes of one byte."""
TELLING = 20
"""Items that are enough to tell two shops apart."""
FEW = 3
"""And fewer of them, where not a single one has kept its title."""
SHARED = 0.1
"""Share of them that one shop has at least kept, ids and titles, since its model was fitted."""
KEEPS = ("title", "description", "brand", "attributes", "price", "currency", "image", "url", "group")
"""Columns of items in which what is known stays where a file has nothing."""
KEY = ("user", "item", "time", "kind")
"""What makes two events one."""


class Added(NamedTuple):
    """What an import brought."""

    change: Change
    events: int
    items: int
    """Items that the model did not have."""
    same_texts: bool
    """Whether items, their texts, categories and pictures are all as they were."""
    kept: Mapping[str, int] = MappingProxyType({})
    """Column -> items of which the files say nothing there, so that what is known stays."""
    older: int = 0
    """Events before the first one that the model had seen."""


def with_new(known: Dataset, imported: Dataset) -> Added:
    """The events of `imported` that `known` lacks are added to it.

    An event is one user, item, second and kind. Rows of known items and users stay what they are, new
    ones come after them. Nothing is taken away: what is no longer in the files stays, and so does what is
    known of an item of which they say nothing. `DataError` where events have no times, since then new ones
    cannot be told from old ones, and where this is hardly the same shop.
    """
    old, new = known.raw, imported.raw
    if len(new.events) and (new.events.time is None or (len(old.events) and old.events.time is None)):
        raise DataError(
            f"{imported.name}: its events have no times, so new ones cannot be told from old ones: "
            "fit without --incremental"
        )
    grown, item_of, same_texts, kept = _catalogue(known, imported)
    names = imported.user_ids.all
    user_of = known.user_ids.rows(names)
    fresh_users = np.flatnonzero(user_of < 0)
    user_of[fresh_users] = known.n_users + np.arange(len(fresh_users), dtype=np.int32)
    kinds = tuple(dict.fromkeys((*known.kinds, *imported.kinds)))
    if len(kinds) > MOST_KINDS:
        raise DataError(f"{imported.name}: {len(kinds)} kinds of events (at most {MOST_KINDS})")
    events = new.events
    columns: dict[str, Any] = {
        "user": user_of[events.user],
        "item": item_of[events.item],
        "time": events.time,
        "kind": np.array([kinds.index(kind) for kind in imported.kinds], np.int8)[events.kind],
    }
    added = _lacking(old.events, columns)
    touched = np.unique(columns["user"][added])
    users = known.users
    if len(fresh_users):
        users = pl.concat([users, imported.users[fresh_users]], how="diagonal_relaxed")
        user_ids = known.user_ids.and_more([names[row] for row in fresh_users.tolist()])
    else:
        user_ids = known.user_ids
    dataset = replace(
        grown,
        users=users,
        user_ids=user_ids,
        events=_together(old.events, replace(events, **columns).take(added)),
        kinds=kinds,
        log=None,
        against=None,
    ).settled()
    changed = frozenset(user_ids.ids(touched))
    first = None if old.events.time is None or not len(old.events) else old.events.time.min()
    older = 0 if first is None or not len(added) else int((columns["time"][added] < first).sum())
    new_items = grown.n_items - known.n_items
    return Added(Change(known, dataset, changed), len(added), new_items, same_texts, kept, older)


def between(before: Dataset, after: Dataset) -> Added:
    """How a shop differs from what it was; users may be gone, items have only been added."""
    old, new = before.raw.events, after.raw.events
    row_of = after.user_ids.rows(before.user_ids.all)
    moved = replace(old, user=row_of[old.user])
    added = _lacking(moved, {name: getattr(new, name) for name in KEY})
    gone = _lacking(new, {name: getattr(moved, name) for name in KEY})
    touched = np.union1d(new.user[added], moved.user[gone])
    names = set(after.user_ids.ids(touched[touched >= 0]))
    names |= {before.user_ids.id(row) for row in np.flatnonzero(row_of < 0).tolist()}
    n = before.n_items
    same = after.n_items == n and after.item_texts == before.item_texts
    same = same and after.items["image"].equals(before.items["image"])
    return Added(Change(before, after, frozenset(names)), len(added), after.n_items - n, same)


def _lacking(old: Events, columns: dict[str, Any]) -> npt.NDArray[np.int64]:
    """int64, ascending: rows of `columns` that are no event of `old`."""
    unlike = _unlike(old, columns)
    before, after = np.flatnonzero(unlike[old.user]), np.flatnonzero(unlike[columns["user"]])
    if not (len(before) and len(after)):
        return after
    have = pl.DataFrame({name: np.asarray(getattr(old, name)).take(before) for name in columns})
    new = pl.DataFrame({name: values.take(after) for name, values in columns.items()})
    new = new.with_row_index("row").join(have, on=list(columns), how="anti")
    return after.take(np.sort(new["row"].to_numpy()))


def _unlike(old: Events, columns: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """bool, by user row: those whose events are not in both, one for one and in the same order.

    Most users of a shop have no new event, and comparing is much faster than a join. Users that are gone
    have row -1, the last place.
    """
    user = columns["user"]
    n = 2 + int(max(old.user.max(initial=-1), user.max(initial=-1)))
    unlike = np.bincount(old.user + 1, minlength=n) != np.bincount(user + 1, minlength=n)
    unlike = np.append(unlike[1:], unlike[0])
    before, after = np.flatnonzero(~unlike[old.user]), np.flatnonzero(~unlike[user])
    if not np.array_equal(old.user.take(before), user.take(after)):
        return np.ones(n, bool)
    for name, values in columns.items():
        if len(before):
            differ = getattr(old, name).take(before) != values.take(after)
            unlike[user.take(after[differ])] = True
    return unlike


def _together(old: Events, new: Events) -> Events:
    """Both, by user and time; baskets of the new ones are other baskets."""
    shift = int(old.basket.max(initial=-1)) + 1
    basket = np.where(new.basket >= 0, new.basket + shift, -1).astype(np.int32)
    return Events.joined(replace(old, weight=None), replace(new, basket=basket, weight=None))


def _catalogue(known: Dataset, imported: Dataset) -> tuple[Dataset, Rows, bool, dict[str, int]]:
    """The model's catalogue with what the import says of it; int32 (imported items,) its rows; whether
    nothing changed; how many items keep which column, as the import has nothing there."""
    ids = imported.item_ids
    rows: Rows = known.item_ids.rows(ids.all)
    _check_shop(known, imported, rows)
    new = np.flatnonzero(rows < 0)
    rows[new] = known.n_items + np.arange(len(new), dtype=np.int32)
    items = _items(known, imported, rows)
    items, kept = _with_known(items, known.items, rows)
    mine, theirs = known.taxonomy.paths, imported.taxonomy.paths
    paths: dict[int, Paths] = {}
    if theirs != mine:
        differ = [(at, row) for at, row in enumerate(rows.tolist()) if row < len(mine)]
        differ = [(at, row) for at, row in differ if mine[row] != theirs[at]]
        paths = {row: theirs[at] for at, row in differ if theirs[at]}
        if len(differ) > len(paths):
            kept["categories"] = len(differ) - len(paths)
    text = [
        name for name in ("title", "description", "brand", "attributes", "image") if name in items.columns
    ]
    same = not len(new) and not paths and items.select(text).equals(known.items.select(text))
    if not len(new) and not paths:
        return replace(known, items=items), rows, same, kept
    grown = replace(
        known,
        items=items,
        item_ids=known.item_ids.and_more([ids.id(row) for row in new.tolist()])
        if len(new)
        else known.item_ids,
        taxonomy=known.taxonomy.changed(paths, [theirs[row] for row in new.tolist()]),
    )
    return grown, rows, False, kept


def _with_known(
    items: pl.DataFrame, known: pl.DataFrame, imported: Rows
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The table with what is known of an item where the files say nothing; column -> items of which it is so.

    `items`: those of `known` first. `imported`: int32, the rows that the files have. A limit of the time of
    sale may well have been lifted; what no file has a column for stays in any case.
    """
    here = np.zeros(len(items), bool)
    here[imported] = True
    n, old, kept = len(known), {}, {}
    silent = pl.Series(here[:n])
    for name in KEEPS:
        if name not in known.columns:
            continue
        before = known[name]
        now = items[name].head(n) if name in items.columns else pl.Series(name, [None] * n, before.dtype)
        blank = _blank(now) & ~_blank(before)
        silent &= _blank(now)
        if blank.any():
            old[name] = before.zip_with(blank, now)
            kept[name] = int((blank & pl.Series(here[:n])).sum())
    for name in known.columns:
        if name not in items.columns and name not in old:
            old[name] = known[name]
    if silent.any():  # whether a thing is sold out is known of it, too
        old["in_stock"] = known["in_stock"].zip_with(silent, items["in_stock"].head(n))
    for name, column in old.items():
        rest = items[name][n:] if name in items.columns else pl.Series(name, [None] * (len(items) - n))
        items = items.with_columns(pl.concat([column.alias(name), rest.cast(column.dtype).alias(name)]))
    return items, {name: count for name, count in kept.items() if count}


def _blank(column: pl.Series) -> pl.Series:
    """Boolean: where nothing is said."""
    nothing = column.is_null()
    return nothing | (column == "").fill_null(True) if column.dtype == pl.String else nothing


def _check_shop(known: Dataset, imported: Dataset, rows: Rows) -> None:
    """`DataError` where an import is hardly of the model's shop. `rows` (imported items,): those of the
    model, or -1."""
    where = f"{imported.name}: this does not look like the shop that the model was fitted on"
    todo = "fit it into a folder of its own, or without --incremental"
    if imported.name != known.name:
        raise DataError(f"{where}, which is called {known.name!r}: {todo}")
    if known.currency and imported.currency and known.currency != imported.currency:
        raise DataError(f"{where}: its prices are in {imported.currency}, not in {known.currency}: {todo}")
    if len(known.events) and len(imported.events) and known.users_are_baskets != imported.users_are_baskets:
        named = "only baskets" if imported.users_are_baskets else "users"
        raise DataError(f"{where}: its events name {named}, those of the model do not: {todo}")
    here = np.flatnonzero(rows >= 0)

    def strangers() -> bool:
        return bool((known.user_ids.rows(imported.user_ids.all) < 0).all())

    # A large shop may launch a few items in a file of their own, which its customers buy.
    if len(rows) and not len(here) and (known.n_items < TELLING or strangers()):
        raise DataError(f"{where}: the model knows none of the {len(rows):,} items: {todo}")
    if len(rows) >= TELLING and len(here) < SHARED * len(rows):
        raise DataError(f"{where}: the model knows {len(here):,} of {len(rows):,} items: {todo}")
    titles = pl.DataFrame({"now": imported.items["title"][here], "then": known.items["title"][rows[here]]})
    titled = titles.filter((pl.col("now") != "") & (pl.col("then") != ""))
    same = int((titled["now"] == titled["then"]).sum())
    # A shop may rename a few of its items, but hardly all, and hardly one or two that nobody of it buys.
    many = len(titled) >= FEW or (len(titled) and imported.n_users and strangers())
    if many and same < (SHARED * len(titled) if len(titled) >= TELLING else 1):
        raise DataError(
            f"{where}: {same:,} of {len(titled):,} items have the titles that the model knows: {todo}"
        )


def _items(known: Dataset, imported: Dataset, rows: Rows) -> pl.DataFrame:
    """The table of items: as imported where it was, in the order of the rows."""
    if len(rows) == known.n_items and np.array_equal(rows, np.arange(len(rows))):
        return imported.items
    gone = np.ones(known.n_items, bool)
    gone[rows[rows < known.n_items]] = False
    left = np.flatnonzero(gone)
    table = pl.concat([imported.items, known.items[left]], how="diagonal_relaxed")
    return table[np.argsort(np.concatenate([rows, left]), kind="stable")]
