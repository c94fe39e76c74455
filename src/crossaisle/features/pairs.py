"""Features of user-item pairs.

| feature | meaning |
|---|---|
| `pair.similarity_mean` | cosine of the item with the decayed mean of the history |
| `pair.similarity_interest` | cosine with the nearest interest point |
| `pair.similarity_last` | cosine with the newest item |
| `pair.similarity_best` | highest cosine with one of the last `RECENT` |
| `pair.times_had`, `pair.days_since_had` | times the item is in the history; days since, NaN if never |
| `pair.category_share`, `pair.leaf_share`, `pair.brand_share` | share of the history with the item's |
| `pair.transition` | log lift of the item's category after the newest item's |
| `pair.price_gap` | its price position minus the history's mean |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.base import unit_rows
from crossaisle.features.interests import DECAY, InterestPoint
from crossaisle.features.space import ItemSpace
from crossaisle.features.table import Table, mean_of
from crossaisle.models.ranking.tables import ShopTables

RECENT = 20
"""Number of newest events in a history with which a candidate is compared individually."""


def pair_table(
    histories: Histories,
    owner: npt.NDArray[np.int64],
    item: Rows,
    space: ItemSpace,
    tables: ShopTables,
    position: npt.NDArray[np.floating],
    points: Sequence[tuple[InterestPoint, ...]],
) -> Table:
    """One row per pair of a history, `owner` int64 (m,), and an item row, `item` int32 (m,)."""
    last = histories.last_item
    level = mean_of(position[histories.item], histories.owner, len(histories))
    times, day = _had(histories, owner, item)
    columns = {
        "pair.similarity_mean": _rowwise(_means(histories, space)[owner], space.vectors[item]),
        **_nearest(histories, owner, item, space, points),
        "pair.times_had": times,
        "pair.days_since_had": histories.now[owner] - day,
        "pair.category_share": _share(histories, owner, item, tables.category),
        "pair.leaf_share": _share(histories, owner, item, tables.leaf),
        "pair.brand_share": _share(histories, owner, item, tables.brand),
        "pair.transition": tables.transition[
            np.where(last < 0, -1, tables.category[last])[owner], tables.category[item]
        ],
        "pair.price_gap": position[item] - level[owner],
    }
    return Table.of(columns, len(item))


def _rowwise(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", left, right), np.float32)


def _means(histories: Histories, space: ItemSpace) -> Floats:
    """Decayed mean vector of each history: float32 (n, d), rows of unit length."""
    weights = DECAY.weights(histories, average=True)
    return unit_rows(histories.matrix(weights, len(space.vectors)) @ space.vectors)


def _nearest(
    histories: Histories,
    owner: npt.NDArray[np.int64],
    item: Rows,
    space: ItemSpace,
    points: Sequence[tuple[InterestPoint, ...]],
) -> dict[str, npt.NDArray[np.floating]]:
    """Cosines with interest points and with recent items; NaN for an empty history."""
    out = {f"pair.similarity_{name}": np.full(len(item), np.nan) for name in ("interest", "last", "best")}
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(len(histories) + 1))
    for row in range(len(histories)):
        at = order[ends[row] : ends[row + 1]]
        past = histories.items_of(row)[-RECENT:]
        if not len(at) or not len(past):
            continue
        mine = space.vectors[item[at]]
        near = mine @ space.vectors[past].T
        out["pair.similarity_last"][at] = near[:, -1]
        out["pair.similarity_best"][at] = near.max(axis=1)
        if points[row]:
            centres = np.stack([point.centre for point in points[row]])
            out["pair.similarity_interest"][at] = (mine @ centres.T).max(axis=1)
    return out


def _had(
    histories: Histories, owner: npt.NDArray[np.int64], item: Rows
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How often the history contains the item, and the day of the last time; NaN if never."""
    width = int(max(histories.item.max(initial=0), item.max(initial=0))) + 1
    keys = histories.owner * width + histories.item
    order = np.lexsort((histories.day, keys))
    keys, day = keys[order], histories.day[order]
    asked = owner * width + item
    low, high = np.searchsorted(keys, asked), np.searchsorted(keys, asked, side="right")
    newest = np.append(day, np.nan)[np.maximum(high - 1, 0)]
    return (high - low).astype(np.float64), np.where(high > low, newest, np.nan)


def _share(
    histories: Histories, owner: npt.NDArray[np.int64], item: Rows, code: Rows
) -> npt.NDArray[np.float64]:
    """Share of the history with the item's code; NaN if the code is unknown or the history is empty."""
    width = int(code.max(initial=0)) + 1
    had = code[histories.item]
    known = had >= 0
    counts = np.bincount(
        histories.owner[known] * width + had[known], minlength=len(histories) * width
    ).reshape(len(histories), width)
    lengths = histories.lengths[owner]
    share = counts[owner, np.maximum(code[item], 0)] / np.maximum(lengths, 1)
    return np.where((code[item] < 0) | (lengths == 0), np.nan, share)
