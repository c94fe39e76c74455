"""A tiny shop whose right answers are known: two groups of users who share no product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from crossaisle.config import KindConfig
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.kinds import Kinds
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary

CATEGORIES = {
    "milk": ("Dairy", "Milk"),
    "bread": ("Bakery", "Bread"),
    "spade": ("Garden", "Tools"),
    "paint": ("Hardware", "Paint"),
}
KITCHEN, GARDEN = ("milk", "bread"), ("spade", "paint")
PER_CATEGORY = 6
"""The last item of each category, such as `milk5`, was never bought."""
FIRST_DAY = 17_000


def item_ids() -> list[str]:
    return [f"{name}{i}" for name in CATEGORIES for i in range(PER_CATEGORY)]


def tiny_shop(*, users: int = 24, seed: int = 0, timed: bool = True) -> Dataset:
    """Even users buy from the kitchen, odd ones from the garden; 8 events each, one a day, one repeated."""
    ids = item_ids()
    rng = np.random.default_rng(seed)
    row = {name: i for i, name in enumerate(ids)}
    events: list[int] = []
    for user in range(users):
        kinds = GARDEN if user % 2 else KITCHEN
        bought = [row[f"{kind}{i}"] for kind in kinds for i in range(PER_CATEGORY - 1)]
        chosen = rng.permutation(bought)[:7]
        events += [*chosen, chosen[0]]
    n, each = len(events), 8
    day = np.tile(np.arange(each), users) + FIRST_DAY
    return Dataset(
        items=pl.DataFrame(
            {
                "item_id": ids,
                "title": [f"fresh {name[:-1]} number {name[-1]}" for name in ids],
                "description": [""] * len(ids),
                "brand": [f"brand{i % 3}" for i in range(len(ids))],
                "price": pl.Series([float(i + 1) for i in range(len(ids))], dtype=pl.Float32),
                "image": pl.Series([None] * len(ids), dtype=pl.String),
                "in_stock": [name != "bread0" for name in ids],
                "attributes": [""] * len(ids),
            }
        ),
        users=pl.DataFrame({"user_id": [f"u{u}" for u in range(users)]}),
        events=Events(
            user=np.repeat(np.arange(users, dtype=np.int32), each),
            item=np.array(events, np.int32),
            time=day.astype(np.int64) * 86_400 if timed else None,
            kind=np.zeros(n, np.int8),
            value=np.full(n, np.nan, np.float32),
            quantity=np.ones(n, np.float32),
            basket=np.full(n, -1, np.int32),
        ),
        item_ids=Vocabulary(ids, what="item"),
        user_ids=Vocabulary([f"u{u}" for u in range(users)], what="user"),
        taxonomy=Taxonomy(tuple((CATEGORIES[name[:-1]],) for name in ids)),
        name="tiny",
    )


def mixed_shop(cart: float, purchase: float = 1.0, *, no_carts: bool = False) -> Dataset:
    """The tiny shop with every third event a cart, and weights of both kinds."""
    plain = tiny_shop()
    kind = (np.arange(len(plain.events)) % 3 == 1).astype(np.int8)
    events = replace(plain.events, kind=kind)
    given = {
        "purchase": KindConfig(means="purchase", weight=purchase),
        "cart": KindConfig(means="cart", weight=cart),
    }
    shop = replace(plain, events=events, kinds=("purchase", "cart"), meanings=Kinds(given=given))
    return (shop.with_events(kind == 0) if no_carts else shop).settled()


def one_user(n: int = 4) -> Dataset:
    """A shop with a single user who bought every item once, without times."""
    whole = tiny_shop(timed=False)
    rows = np.arange(len(whole.item_ids), dtype=np.int32)[:n]
    events = whole.events.take(np.arange(n))
    return Dataset(
        items=whole.items,
        users=pl.DataFrame({"user_id": ["only"]}),
        events=Events(
            np.zeros(n, np.int32), rows, None, events.kind, events.value, events.quantity, events.basket
        ),
        item_ids=whole.item_ids,
        user_ids=Vocabulary(["only"], what="user"),
        taxonomy=whole.taxonomy,
    )
