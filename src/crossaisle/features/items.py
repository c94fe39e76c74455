"""Item features: sales, age, trend, price, and attributes, one-hot encoded and hashed.

| feature | meaning |
|---|---|
| `item.log_events` | log(1 + events) |
| `item.age_days` | days since the first event; NaN if none |
| `item.trend` | log((events of the last 28 days + 1) / (events of the 28 days before + 1)) |
| `item.log_price`, `item.price_position` | log of the price; its mid-rank in the deepest category, 0 to 1 |
| `item.title_words` | number of words in the title |
| `item.tfidf:W`, `item.yake:W`, `item.encoder:W` | whether W is a keyword, according to that method |
| `item.category=C`, `item.brand=B` | one-hot, for the names with the most events |
| `item.hash:N` | brand, every category level and attributes, hashed to signs (Weinberger et al., ICML 2009) |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.encoders.tfidf import terms
from crossaisle.errors import MissingDependencyError
from crossaisle.features.table import Table

WINDOW_DAYS = 28
"""Four weeks, so that each weekday occurs equally often."""
ONE_HOT = 16
HASHED = 16


def item_table(dataset: Dataset, now: float, mass: npt.NDArray[np.number] | None = None) -> Table:
    """One row per item.

    `now`: the time that the features describe, in days since 1970; NaN without times. `mass` (n_items,):
    decides which names become columns; by default the number of events. Pass the same one for tables that
    need the same columns.
    """
    mass = dataset.item_counts if mass is None else mass
    price = dataset.items["price"].cast(float).fill_null(np.nan).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        log_price = np.where(price > 0, np.log(price), np.nan)
    first, recent, before = _activity(dataset, now)
    titles = dataset.items["title"].to_list()
    plain = {
        "item.log_events": np.log1p(dataset.item_counts),
        "item.age_days": now - first,
        "item.trend": np.log((recent + 1) / (before + 1)),
        "item.log_price": log_price,
        "item.price_position": price_position(dataset),
        "item.title_words": np.array([sum(1 for _ in terms(t, bigrams=False)) for t in titles]),
    }
    return Table.joined(
        [
            Table.of(plain, dataset.n_items),
            one_hot("item.category", category_names(dataset), mass),
            one_hot("item.brand", dataset.items["brand"].to_list(), mass),
            hashed("item.hash", _attributes(dataset)),
        ]
    )


def _activity(
    dataset: Dataset, now: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Day of the first event (NaN if none), and event counts of the last two windows; NaN if times are
    unknown."""
    events, n = dataset.events, dataset.n_items
    if events.time is None:
        unknown = np.full(n, np.nan)
        return unknown, unknown, unknown
    day = events.time / SECONDS_PER_DAY
    first = np.full(n, np.nan)
    np.fmin.at(first, events.item, day)
    ago = now - day
    recent = np.bincount(events.item[ago <= WINDOW_DAYS], minlength=n).astype(np.float64)
    older = (ago > WINDOW_DAYS) & (ago <= 2 * WINDOW_DAYS)
    return first, recent, np.bincount(events.item[older], minlength=n).astype(np.float64)


def price_position(dataset: Dataset) -> npt.NDArray[np.float64]:
    """float64 (n_items,): mid-rank of the price within the deepest category, over its size; NaN if
    unknown."""
    frame = pl.DataFrame({"leaf": dataset.taxonomy.codes(-1), "price": dataset.items["price"]})
    known = pl.col("price").count().over("leaf")
    rank = pl.col("price").rank("average").over("leaf")
    return frame.select((rank - 0.5) / known).to_series().cast(pl.Float64).fill_null(np.nan).to_numpy()


def category_names(dataset: Dataset, depth: int | None = None) -> list[str]:
    """Per item, the last name of its category at a depth (by default the shop's category level); "" if
    unknown."""
    codes, names = dataset.taxonomy.codes(depth), dataset.taxonomy.names(depth)
    return [names[code].rsplit(SEPARATOR, 1)[-1] if code >= 0 else "" for code in codes.tolist()]


def one_hot(
    prefix: str, values: Sequence[str | None], mass: npt.NDArray[np.number], most: int = ONE_HOT
) -> Table:
    """1 where a row has a value, for the `most` values with the largest total `mass` (m,); "" and None are
    missing."""
    total: dict[str, float] = {}
    for value, weight in zip(values, mass.tolist(), strict=True):
        if value:
            total[value] = total.get(value, 0.0) + weight
    chosen = sorted(total, key=lambda value: (-total[value], value))[:most]
    column = np.array(values, dtype=object)
    return Table.of({f"{prefix}={value}": column == value for value in chosen}, len(values))


def hashed(prefix: str, rows: Iterable[Sequence[str]], columns: int = HASHED) -> Table:
    """Signed counts of texts in `columns` hash buckets: without a vocabulary, new values need no refit."""
    try:
        from sklearn.feature_extraction import FeatureHasher
    except ModuleNotFoundError:
        raise MissingDependencyError("scikit-learn", "features", "hashed features") from None
    values = FeatureHasher(n_features=columns, input_type="string").transform(rows).toarray()
    return Table(tuple(f"{prefix}:{number}" for number in range(columns)), values.astype(np.float32))


def _attributes(dataset: Dataset) -> Iterator[list[str]]:
    """Per item, "name=value" of all its attributes except title and price."""
    levels = [category_names(dataset, depth) for depth in range(dataset.taxonomy.depth)]
    columns = dataset.items.select("brand", "attributes").iter_rows()
    for row, (brand, attributes) in enumerate(columns):
        texts = [f"brand={brand}"] if brand else []
        texts += [f"category{depth}={of[row]}" for depth, of in enumerate(levels) if of[row]]
        given = json.loads(attributes) if attributes else {}
        yield texts + [f"{name}={value}" for name, value in given.items() if value not in (None, "")]
