"""What the ranker knows about a candidate: one float per feature, each with a name and a meaning.

| feature | meaning |
|---|---|
| `blend`, `blend_rank`, `blend_gap` | the blend's score, its rank among the candidates, its gap to the best |
| `part:NAME` | the score of each part; NaN where it has none |
| `rank:NAME` | rank among the candidates by a part that retrieves |
| `text:NAME` | cosine with the newest item, by each part over vectors of texts or pictures |
| `log_sales`, `last_log_sales` | log(1 + events) of the candidate and of the newest item |
| `same_category`, `same_leaf`, `same_brand` | whether the newest item shares it; NaN where unknown |
| `category_in_history`, `category_share` | whether the history has its category, and its share there |
| `leaf_in_history` | whether the history has its deepest category |
| `times_had` | how often the history has the item itself |
| `transition` | log lift of its category after that of the newest item |
| `category_sales` | its category's share of all events |
| `history_length`, `history_categories` | events and distinct categories of the history |
| `readiness` | how often the history changes category from one event to the next, shrunk to a half |
| `price_ratio` | log of its price over the mean price of the history; NaN where unknown |

Rankers of a shop whose events have times also read those of `habits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.ranking.habits import HABITS, habit_columns
from crossaisle.models.ranking.tables import ShopTables

PLAIN = (
    "log_sales",
    "last_log_sales",
    "same_category",
    "same_leaf",
    "same_brand",
    "category_in_history",
    "category_share",
    "leaf_in_history",
    "times_had",
    "transition",
    "category_sales",
    "history_length",
    "history_categories",
    "readiness",
    "price_ratio",
)
"""Features that come from the shop and the history alone."""
BLEND = ("blend", "blend_rank", "blend_gap")


def feature_names(
    parts: Sequence[str], ranked: Sequence[str], texts: Sequence[str], *, habits: bool = False
) -> tuple[str, ...]:
    """Names in the order of the columns; `habits`: with the features of days."""
    return (
        *BLEND,
        *(f"part:{name}" for name in parts),
        *(f"rank:{name}" for name in ranked),
        *(f"text:{name}" for name in texts),
        *PLAIN,
        *(HABITS if habits else ()),
    )


def directions(names: Sequence[str], free: Sequence[str]) -> tuple[int, ...]:
    """Per feature 1 where a ranker may only rise with it, -1 where it may only fall, 0 where it may do both.

    All else equal, nothing ranks lower because a part or the blend thinks more of it. Without this rule trees
    learn the noise of a few thousand answers. `free`: parts to which it does not apply.
    """
    unbound = {f"part:{name}" for name in free}

    def direction(name: str) -> int:
        if name in ("blend", "blend_gap") or name.startswith(("part:", "text:")):
            return 0 if name in unbound else 1
        return -1 if name == "blend_rank" or name.startswith("rank:") else 0

    return tuple(map(direction, names))


def feature_matrix(
    tables: ShopTables,
    histories: Histories,
    rows: Sequence[Rows],
    blend: Floats,
    parts: Mapping[str, Floats],
    ranked: Sequence[str],
    texts: Mapping[str, Floats],
    *,
    habits: bool = False,
) -> Floats:
    """float32 (m, features), one row per candidate; all flat arrays are (m,), history after history.

    `rows`: the candidates of each history. `parts` and `texts`: per name, scores of the candidates. `habits`:
    with the features of days; `ValueError` where `tables` have none.
    """
    sizes = np.array([len(at) for at in rows], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(len(rows)), sizes)
    best = np.maximum.reduceat(np.append(blend, -np.inf), starts[:-1]) if len(rows) else np.empty(0)
    columns = [blend, _rank_within(blend, starts), blend - best[owner]]
    columns += list(parts.values())
    columns += [_rank_within(parts[name], starts) for name in ranked]
    columns += list(texts.values())
    item = np.concatenate([*rows, np.empty(0, np.int32)])
    columns += _plain(tables, histories, item, owner)
    if habits:
        if tables.habits is None:
            raise ValueError("the tables of this shop were made without habits")
        columns += habit_columns(tables.habits, histories, tables.leaf, item, owner)
    # Column after column in memory: so they are made here, and so trees read them.
    return np.stack([np.asarray(column, np.float32) for column in columns]).T


def _rank_within(scores: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """float32 (m,): 0 for the best candidate of each history; unknown scores come last.

    `starts` int64 (n + 1,): where the candidates of each history start.
    """
    rank = np.empty(len(scores), np.float32)
    falling = -np.fmax(scores, -np.inf)  # the larger of NaN and -inf is -inf
    for start, stop in pairwise(starts.tolist()):
        order = falling[start:stop].argsort(kind="stable")
        rank[start:stop][order] = np.arange(stop - start, dtype=np.float32)
    return rank


def _plain(
    tables: ShopTables, histories: Histories, item: Rows, owner: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.floating]]:
    """The features of `PLAIN`, in its order."""
    n, m = len(histories), len(tables.category_share)  # m - 1 is the unknown category
    last, lengths = histories.last_item, histories.lengths
    empty = last < 0
    code, near = tables.category[item], np.where(empty, -1, tables.category[last])
    had = tables.category[histories.item]
    counts = np.bincount(histories.owner * m + had % m, minlength=n * m).reshape(n, m).astype(np.float64)
    counts[:, -1] = 0.0
    in_history = counts[owner, code]
    return [
        tables.log_sales[item],
        np.where(empty, np.nan, tables.log_sales[last])[owner],
        _same(code, near[owner]),
        _same(tables.leaf[item], np.where(empty, -1, tables.leaf[last])[owner]),
        _same(tables.brand[item], np.where(empty, -1, tables.brand[last])[owner]),
        (in_history > 0).astype(np.float32),
        in_history / np.maximum(lengths[owner], 1),
        _times(histories, tables.leaf, item, owner) > 0,
        _times(histories, None, item, owner),
        tables.transition[near[owner], code],
        tables.category_share[code],
        lengths[owner].astype(np.float32),
        (counts > 0).sum(axis=1)[owner].astype(np.float32),
        _readiness(histories, had)[owner],
        tables.log_price[item] - _mean_price(tables, histories)[owner],
    ]


def _same(mine: Rows, theirs: Rows) -> Floats:
    """1 or 0; NaN where either is unknown."""
    return np.where((mine < 0) | (theirs < 0), np.nan, mine == theirs).astype(np.float32)


def _times(
    histories: Histories, codes: Rows | None, item: Rows, owner: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """int64 (m,): how often each history has an item, or its code; unknown codes count as never."""
    mine = histories.item if codes is None else codes[histories.item]
    wanted = item if codes is None else codes[item]
    width = int(max(mine.max(initial=0), wanted.max(initial=0))) + 1
    known = mine >= 0
    keys = np.sort(histories.owner[known] * width + mine[known])
    asked = owner * width + wanted
    times = np.searchsorted(keys, asked, side="right") - np.searchsorted(keys, asked, side="left")
    return np.where(wanted < 0, 0, times)


def _readiness(histories: Histories, code: Rows) -> npt.NDArray[np.float64]:
    """float64 (n,): changes of category over steps, one change in two steps added."""
    owner, n = histories.owner, len(histories)
    step = owner[1:] == owner[:-1]
    changed = step & (code[1:] != code[:-1])
    steps = np.bincount(owner[1:][step], minlength=n)
    return (np.bincount(owner[1:][changed], minlength=n) + 1.0) / (steps + 2.0)


def _mean_price(tables: ShopTables, histories: Histories) -> npt.NDArray[np.float64]:
    """float64 (n,): mean log price of each history, NaN where none is known."""
    price, n = tables.log_price[histories.item], len(histories)
    known = ~np.isnan(price)
    count = np.bincount(histories.owner[known], minlength=n)
    total = np.bincount(histories.owner[known], price[known], n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
