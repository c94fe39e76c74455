"""Small shops made by hand, and the shared research data where it is to be had."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary

DAY = 86_400


def shop(
    events: Sequence[tuple[int, int, float | None]],
    paths: Sequence[str],
    *,
    n_users: int | None = None,
    baskets: Sequence[int] | None = None,
    users_are_baskets: bool = False,
    prices: Sequence[float | None] | None = None,
    level: int = 0,
) -> Dataset:
    """A data set from (user, item, day) triples, already in order, and one category path per item."""
    n_items = len(paths)
    users = np.array([e[0] for e in events], np.int32)
    timed = bool(events) and events[0][2] is not None
    n = len(events)
    count = int(users.max(initial=-1)) + 1 if n_users is None else n_users
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(n_items)],
            "title": [f"Item {i}" for i in range(n_items)],
            "description": [""] * n_items,
            "brand": [""] * n_items,
            "price": pl.Series(prices if prices else [None] * n_items, dtype=pl.Float32),
            "image": pl.Series([None] * n_items, dtype=pl.String),
            "in_stock": [True] * n_items,
            "attributes": [""] * n_items,
        }
    )
    return Dataset(
        items=items,
        users=pl.DataFrame({"user_id": [f"u{u}" for u in range(count)]}),
        events=Events(
            users,
            np.array([e[1] for e in events], np.int32),
            np.array([int((e[2] or 0) * DAY) for e in events], np.int64) if timed else None,
            np.zeros(n, np.int8),
            np.full(n, np.nan, np.float32),
            np.ones(n, np.float32),
            np.full(n, -1, np.int32) if baskets is None else np.array(baskets, np.int32),
        ),
        item_ids=Vocabulary([f"i{i}" for i in range(n_items)], what="item"),
        user_ids=Vocabulary([f"u{u}" for u in range(count)], what="user"),
        taxonomy=Taxonomy(tuple((tuple(p.split(">")),) if p else () for p in paths), level),
        users_are_baskets=users_are_baskets,
    )


def random_shop(seed: int, *, n_users: int = 40, n_items: int = 30, n_events: int = 600) -> Dataset:
    """Events over 120 days, two levels of categories, a few items of unknown category."""
    rng = np.random.default_rng(seed)
    users = np.sort(rng.integers(0, n_users, n_events))
    days = rng.uniform(0, 120, n_events)
    order = np.lexsort((days, users))
    items = rng.integers(0, n_items, n_events)
    paths = ["" if i % 11 == 10 else f"c{i % 4}>d{i % 8}" for i in range(n_items)]
    events = [(int(users[o]), int(items[o]), float(days[o])) for o in order]
    return shop(events, paths, n_users=n_users)


def shared_data() -> Path:
    """The folder of shared research data; skips the test where there is none."""
    chosen = os.environ.get("CROSSAISLE_SHARED")
    root = Path(chosen) if chosen else Path(__file__).parents[3] / "shared"
    if not (root / "data").is_dir():
        pytest.skip("no shared research data: set CROSSAISLE_SHARED to a folder that holds data/")
    return root / "data"
