"""`crossaisle.data.storage` for tests of the recommender alone: the whole `Dataset`, without checksums."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from crossaisle.artifact import read_arrays, read_json, write_arrays, write_json
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary


def save_dataset(dataset: Dataset, folder: Path) -> None:
    arrays = {f.name: getattr(dataset.events, f.name) for f in fields(Events)}
    write_arrays(folder / "events", {name: value for name, value in arrays.items() if value is not None})
    dataset.items.write_parquet(folder / "items.parquet")
    dataset.users.write_parquet(folder / "users.parquet")
    taxonomy = {"paths": dataset.taxonomy.paths, "level": dataset.taxonomy.level}
    write_json(folder / "shop.json", {"name": dataset.name, "kinds": dataset.kinds, "taxonomy": taxonomy})


def load_dataset(folder: Path) -> Dataset:
    arrays: dict[str, np.ndarray] = read_arrays(folder / "events")
    items, users = pl.read_parquet(folder / "items.parquet"), pl.read_parquet(folder / "users.parquet")
    shop = read_json(folder / "shop.json")
    paths = tuple(tuple(tuple(p) for p in item) for item in shop["taxonomy"]["paths"])
    return Dataset(
        items,
        users,
        Events(**{f.name: arrays.get(f.name) for f in fields(Events)}),  # type: ignore[arg-type]
        Vocabulary(items["item_id"], what="item"),
        Vocabulary(users["user_id"], what="user"),
        Taxonomy(paths, shop["taxonomy"]["level"]),
        tuple(shop["kinds"]),
        shop["name"],
    )


def module() -> ModuleType:
    out = ModuleType("crossaisle.data.storage")
    out.save_dataset, out.load_dataset = save_dataset, load_dataset  # type: ignore[attr-defined]
    return out
