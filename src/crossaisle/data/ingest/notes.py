"""Remarks in a report on the data set as a whole: its size, and what it cannot support."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.taxonomy import SEPARATOR, Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import DataError, shorten

LARGE = 50
"""Minimum number of events of an outlier."""
FACTOR = 10
FEWEST_ITEMS = 20
"""Minimum number of items with a category for a verdict."""
OWN = 0.9
"""Categories per item."""
VARIANTS = 100
"""Items of one group: few products have more variants."""
GROUP = 0.02
"""Share of the items in a group of more than `VARIANTS` from which on the column is questioned."""
MOST_NAMED = 5
"""Maximum number of unknown kinds named in a warning."""


def warn_about(dataset: Dataset, ledger: Ledger) -> None:
    """Warns of what the data set cannot support."""
    taxonomy = dataset.taxonomy
    if not taxonomy.depth:
        ledger.warn("items have no categories, so all cross-category figures will be empty")
    elif len(taxonomy.names()) == 1:
        ledger.warn(
            f"there is only one category ({taxonomy.names()[0]!r}), so all cross-category figures "
            "will be empty"
            + ("; set category_level if you meant a lower level" if taxonomy.depth > 1 else "")
        )
    bare = sum(not p for p in taxonomy.paths)
    if taxonomy.depth and bare:
        ledger.warn(f"{bare:,} of {dataset.n_items:,} items have no category")
    _warn_of_own_categories(taxonomy, ledger)
    if "group" in dataset.items.columns and (note := large_groups(dataset.items["group"], dataset.n_items)):
        ledger.warn(note)
    if not len(dataset.events):
        ledger.warn("there are no events: lists will be based on item data alone")
    elif dataset.n_users == 1:
        ledger.warn("there is only one user: nothing can be learned from other users")
    lengths = np.diff(dataset.user_indptr)
    once = int((lengths == 1).sum())
    if once:
        ledger.warn(f"{once:,} of {dataset.n_users:,} users have a single event")
    _warn_of_outlier("basket" if dataset.users_are_baskets else "user", lengths, dataset.user_ids, ledger)
    n_events = np.bincount(dataset.events.item, minlength=dataset.n_items)
    _warn_of_outlier("item", n_events, dataset.item_ids, ledger)
    if not dataset.has_time:
        ledger.warn("events have no time: only their order is known, and no split by date is possible")


def warn_about_kinds(dataset: Dataset, ledger: Ledger, file: str, *, whole: bool = True) -> None:
    """Warns of unknown kinds; `DataError` if no event is left that expresses interest.

    `whole` False: only a shop's new events, which may all be returns.
    """
    log = dataset.raw.events
    counts = np.bincount(log.kind, minlength=len(dataset.kinds))
    unknown = [
        f"{shorten(name)} ({n:,})"
        for name, n in zip(dataset.kinds, counts.tolist(), strict=True)
        if n and not dataset.meanings.meaning(name).known
    ]
    say = "say in [data.kinds] what they mean, as in 'order line' = 'purchase'"
    if len(log) and not len(dataset.events) and (whole or unknown):
        named = f": unknown kinds {', '.join(unknown[:MOST_NAMED])}; {say}" if unknown else ""
        raise DataError(
            f"none of {len(log):,} events says what a user wants{named}", file=file, column="kind"
        )
    if unknown:
        ledger.warn(
            f"{file}: unknown kinds of events are not counted: {', '.join(unknown[:MOST_NAMED])}; {say}"
        )


def _warn_of_outlier(what: str, n_events: npt.NDArray[np.integer], ids: Vocabulary, ledger: Ledger) -> None:
    """Warns of an id with at least `LARGE` events and more than `FACTOR` times as many as any other id."""
    if len(n_events) < 3:
        return
    second, first = np.sort(n_events)[-2:]
    if first >= LARGE and first > FACTOR * second:
        name = ids.all[int(np.argmax(n_events))]
        hint = (
            "if this is postage, a bag or a deposit, leave it out"
            if what == "item"
            else f"if it stands for all guests, leave the cell empty instead of writing {name!r}"
        )
        ledger.warn(
            f"{what} {name!r} has {first:,} of {n_events.sum():,} events, over {FACTOR} times as many as "
            f"any other {what}: {hint}"
        )


def _warn_of_own_categories(taxonomy: Taxonomy, ledger: Ledger) -> None:
    """Warns if nearly every item has its own category, and suggests a level separator."""
    names = taxonomy.names()
    filled = sum(bool(p) for p in taxonomy.paths)
    if filled < FEWEST_ITEMS or len(names) < OWN * filled:
        return
    parts = [name.rsplit(SEPARATOR, 1)[-1] for name in names]
    signs = {sign: sum(sign in part for part in parts) for sign in ("/", "|", ">", ";", ",", ":", "\\")}
    sign = max(signs, key=lambda s: signs[s])
    hint = (
        (f"if {sign!r} separates levels, set category_separator; if it separates paths, path_separator")
        if 2 * signs[sign] > len(parts)
        else "is this the right column, and category_level the right depth?"
    )
    ledger.warn(
        f"{filled:,} items have {len(names):,} categories, such as {names[0][:80]!r}: nearly "
        f"every item has its own; {hint}"
    )


def large_groups(groups: pl.Series, n_items: int) -> str | None:
    """A sentence about a group too large to be one product, of which lists would show only one item; None if
    there is none.

    `groups`: of the items sent or imported; `n_items`: of the shop.
    """
    most = max(VARIANTS, GROUP * n_items)
    found = groups.drop_nulls().rename("group").value_counts(sort=True).filter(pl.col("count") > most)
    if not len(found):
        return None
    name, n = found.row(0)
    more = f", and {len(found) - 1:,} more are as large" if len(found) > 1 else ""
    return (
        f"group {shorten(name)} has {n:,} of {n_items:,} items{more}: lists show only one "
        "item of a group; is group_id the right column?"
    )


def summary(dataset: Dataset) -> dict[str, Any]:
    """Summary of the data set's content, ready for JSON."""
    moments = dataset.events.time
    span = None
    if moments is not None and len(moments):
        edges = np.array([moments.min(), moments.max()], "datetime64[s]")
        span = [str(edge) for edge in edges]
    taxonomy = dataset.taxonomy
    return {
        "name": dataset.name,
        "items": dataset.n_items,
        "users": dataset.n_users,
        "users_are_baskets": dataset.users_are_baskets,
        "events": len(dataset.raw.events),
        "events_that_stand": len(dataset.events),
        "kinds": list(dataset.kinds),
        "time": span,
        "category_depth": taxonomy.depth,
        "category_level": taxonomy.level,
        "categories": [len(taxonomy.names(d)) for d in range(taxonomy.depth)],
    }
