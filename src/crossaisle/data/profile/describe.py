"""Statistics of a data set, before any model is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.table import Table
from rich.text import Text

from crossaisle.data.dataset import Dataset
from crossaisle.data.kinds import REMOVE, RETURN
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.text.control import without_control

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Counts, quantiles, sparsity, categories per level, category transitions, time range and gaps;
    JSON-ready."""
    events = dataset.events
    pairs = len(np.unique(events.user.astype(np.int64) * max(dataset.n_items, 1) + events.item))
    cells = dataset.n_users * dataset.n_items
    span = None
    if events.time is not None and len(events):
        edges = np.array([events.time.min(), events.time.max()], "datetime64[s]")
        span = [str(edge) for edge in edges]
    log = dataset.raw.events
    kinds = np.bincount(log.kind, minlength=len(dataset.kinds))
    roles = dataset.meanings.roles(dataset.kinds, log.kind, log.value, log.quantity)
    return {
        "name": dataset.name,
        "items": dataset.n_items,
        "users": dataset.n_users,
        "users_are_baskets": dataset.users_are_baskets,
        "events": len(events),
        "kinds": {name: int(n) for name, n in zip(dataset.kinds, kinds, strict=True)},
        "negative_quantities": int(((log.quantity < 0) & ((roles == RETURN) | (roles == REMOVE))).sum()),
        "baskets": len(np.unique(events.basket[events.basket >= 0])),
        "time": span,
        "distinct_pairs": pairs,
        "sparsity": round(1 - pairs / cells, 6) if cells else None,
        "repeat_share": round(1 - pairs / len(events), 4) if len(events) else None,
        "events_per_user": _quantiles(np.diff(dataset.user_indptr)),
        "events_per_item": _quantiles(dataset.item_counts),
        "items_without_events": int((dataset.item_counts == 0).sum()),
        "category_level": dataset.taxonomy.level,
        "levels": [_level(dataset, depth) for depth in range(dataset.taxonomy.depth)],
        "missing": _missing(dataset),
    }


def _quantiles(counts: npt.NDArray[np.integer]) -> dict[str, float]:
    if not len(counts):
        return {}
    values = np.quantile(counts, QUANTILES)
    names = ("min", "25%", "median", "75%", "95%", "max")
    return {name: float(v) for name, v in zip(names, values, strict=True)} | {"mean": float(counts.mean())}


def _level(dataset: Dataset, depth: int) -> dict[str, Any]:
    """The categories at one depth, the largest ones, and the share of consecutive events that change
    category."""
    codes, names = dataset.taxonomy.codes(depth), dataset.taxonomy.names(depth)
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    of_event = codes[dataset.events.item]
    same_user = dataset.events.user[1:] == dataset.events.user[:-1]
    known = same_user & (of_event[1:] >= 0) & (of_event[:-1] >= 0)
    crossed = known & (of_event[1:] != of_event[:-1])
    largest = np.argsort(-sizes, kind="stable")[:10]
    return {
        "depth": depth,
        "categories": len(names),
        "items_per_category": _quantiles(sizes),
        "largest": {names[c]: int(sizes[c]) for c in largest},
        "crossing_share": round(float(crossed.sum() / known.sum()), 4) if known.any() else None,
    }


def _missing(dataset: Dataset) -> dict[str, int]:
    empty = dataset.items.select(
        *((pl.col(n) == "").sum() for n in ("title", "description", "brand", "attributes")),
        *(pl.col(n).is_null().sum() for n in ("price", "image")),
    )
    counts = {name: int(n) for name, n in empty.row(0, named=True).items()}
    return counts | {"categories": sum(not paths for paths in dataset.taxonomy.paths)}


def describe_table(facts: dict[str, Any]) -> Table:
    """The same facts as a rich table."""
    table = Table(title=Text(without_control(str(facts["name"]))), show_header=False)
    table.add_column(style="bold")
    table.add_column()

    def row(name: str, text: str) -> None:
        """Adds a row whose name is shown literally, as kinds and categories may contain markup."""
        table.add_row(name, Text(without_control(text)))

    def spread(counts: dict[str, float]) -> str:
        return "  ".join(f"{name} {value:,.4g}" for name, value in counts.items())

    who = "baskets (no users)" if facts["users_are_baskets"] else "users"
    row("items", f"{facts['items']:,} ({facts['items_without_events']:,} without events)")
    row(who, f"{facts['users']:,}")
    said = ", ".join(f"{n:,} {kind}" for kind, n in facts["kinds"].items())
    if below := facts["negative_quantities"]:
        said += f"; of these with a negative quantity, which take back: {below:,}"
    row("events", said)
    if facts["events"] != sum(facts["kinds"].values()):
        row("events that count", f"{facts['events']:,}: without what was taken back and repeated looks")
    if facts["baskets"] and not facts["users_are_baskets"]:
        row("baskets", f"{facts['baskets']:,}")
    unknown = "unknown, order only" if facts["events"] else "no events yet"
    row("time", " to ".join(facts["time"]) if facts["time"] else unknown)
    if facts["sparsity"] is not None:
        row("sparsity", f"{facts['sparsity']:.4%} of user-item pairs have no event")
        row("repeats", f"{facts['repeat_share'] or 0:.1%} of events")
    row("events per user", spread(facts["events_per_user"]))
    row("events per item", spread(facts["events_per_item"]))
    before = 0
    for level in facts["levels"]:
        if level["categories"] == before:
            continue  # skip the deep levels that few items reach
        before = level["categories"]
        here = " (the category level)" if level["depth"] == facts["category_level"] else ""
        shown = ", ".join(
            f"{name.rsplit(SEPARATOR, 1)[-1]} {n:,}" for name, n in list(level["largest"].items())[:5]
        )
        share = level["crossing_share"]
        crossing = "" if share is None else f"; {share:.1%} of consecutive events cross"
        row(f"level {level['depth']}{here}", f"{level['categories']:,}: {shown}{crossing}")
    gaps = ", ".join(f"{name} {n:,}" for name, n in facts["missing"].items() if n)
    row("missing", gaps or "nothing")
    return table
