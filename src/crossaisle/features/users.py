"""User features, from histories and from the shop's table of users.

| feature | meaning |
|---|---|
| `user.events`, `user.categories` | log(1 + events); number of distinct categories |
| `user.days_since`, `user.gap_days` | days since the last event; median gap between active days |
| `user.tempo` | active days per week, from the first event until now |
| `user.price_level` | mean price position of chosen items in their category, 0 (cheap) to 1 (expensive) |
| `user.repeats` | share of events with an item already in the history |
| `user.interests`, `user.focus` | number of interest points; share of the largest |
| `user.share:C` | share of category C in the history, for the categories with the most events |
| `user.A=V`, `user.A` | demographics: one-hot if text, unchanged if numeric |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.features.interests import InterestPoint
from crossaisle.features.items import one_hot
from crossaisle.features.table import Table, mean_of

SHARES = 16
VALUES = 6
"""Maximum number of one-hot columns per user attribute."""
DAYS_PER_WEEK = 7.0


def user_table(
    histories: Histories,
    dataset: Dataset,
    position: npt.NDArray[np.floating],
    points: Sequence[tuple[InterestPoint, ...]],
    mass: npt.NDArray[np.number] | None = None,
) -> Table:
    """One row per history.

    `position` (n_items,): price positions; `points`: interest points of each history; `mass`: see
    `item_table`.
    """
    n, owner, lengths = len(histories), histories.owner, histories.lengths
    days = _days(histories)
    code = dataset.taxonomy.codes()[histories.item]
    width = max(len(dataset.taxonomy.names()), 1)
    counts = np.bincount(owner[code >= 0] * width + code[code >= 0], minlength=n * width).reshape(n, width)
    total = np.maximum(lengths, 1)
    plain = {
        "user.events": np.log1p(lengths),
        "user.categories": (counts > 0).sum(axis=1),
        "user.days_since": days["since"],
        "user.gap_days": days["gap"],
        "user.tempo": days["tempo"],
        "user.price_level": mean_of(position[histories.item], owner, n),
        "user.repeats": 1.0 - _distinct(histories, dataset.n_items) / total,
        "user.interests": np.array([len(of) for of in points]),
        "user.focus": np.array([of[0].share if of else np.nan for of in points]),
    }
    names, of_item = dataset.taxonomy.names(), dataset.taxonomy.codes()
    heavy = np.bincount(
        of_item[of_item >= 0], (dataset.item_counts if mass is None else mass)[of_item >= 0], len(names)
    )
    top = np.argsort(-heavy, kind="stable")[:SHARES].tolist()
    shares = {f"user.share:{names[c].rsplit(SEPARATOR, 1)[-1]}": counts[:, c] / total for c in top}
    return Table.joined([Table.of(plain | shares, n), demographics(dataset, histories.user)])


def _days(histories: Histories) -> dict[str, npt.NDArray[np.float64]]:
    """Per history: days since the last event, median gap between active days, active days per week."""
    out = {name: np.full(len(histories), np.nan) for name in ("since", "gap", "tempo")}
    for row in range(len(histories)):
        days = histories.day[histories.indptr[row] : histories.indptr[row + 1]]
        now = histories.now[row]
        if not len(days) or np.isnan(days).any() or np.isnan(now):
            continue
        active = np.unique(np.floor(days))
        out["since"][row] = now - days.max()
        out["tempo"][row] = DAYS_PER_WEEK * len(active) / (np.floor(now) - active[0] + 1)
        if len(active) > 1:
            out["gap"][row] = np.median(np.diff(active))
    return out


def _distinct(histories: Histories, n_items: int) -> npt.NDArray[np.int64]:
    pairs = np.unique(histories.owner * n_items + histories.item)
    return np.bincount(pairs // n_items, minlength=len(histories))


def demographics(dataset: Dataset, users: npt.NDArray[np.integer]) -> Table:
    """The shop's user attributes for given user rows; all missing for -1."""
    n, parts = len(users), []
    for name in dataset.users.columns:
        column = dataset.users[name]
        if name == "user_id" or column.null_count() == len(column):
            continue
        if column.dtype.is_numeric():
            values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
            values = np.append(values, np.nan)[users]
            parts.append(Table.of({f"user.{name}": values}, n))
        else:
            texts = column.cast(pl.String).fill_null("").to_numpy().astype(object)
            found = one_hot(f"user.{name}", texts.tolist(), np.ones(len(texts)), VALUES)
            blank = np.zeros((1, len(found.names)), np.float32)
            parts.append(Table(found.names, np.vstack([found.values, blank])[users]))
    return Table.joined(parts) if parts else Table((), np.zeros((n, 0), np.float32))
