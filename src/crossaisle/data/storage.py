"""A data set as files of a folder: parquet tables and `.npy` arrays, so that a saved model can hold it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crossaisle.artifact import read_arrays, read_json, write_arrays, write_json
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ledger import write_parquet
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ArtifactError

FIELDS = ("user", "item", "time", "kind", "value", "quantity", "basket")


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes `dataset.json`, `items.parquet`, `users.parquet`, `paths.parquet` and `events/*.npy`.

    Checksums and atomic replacement are the business of the saved folder around it (`artifact.writing`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(dataset.items, folder / "items.parquet")
    write_parquet(dataset.users, folder / "users.parquet")
    distinct = list(dict.fromkeys(dataset.taxonomy.paths))
    code = {paths: i for i, paths in enumerate(distinct)}
    levels = pl.Series("paths", [[list(p) for p in paths] for paths in distinct], pl.List(pl.List(pl.String)))
    write_parquet(pl.DataFrame({"paths": levels}), folder / "paths.parquet")
    codes = pl.Series("path", [code[paths] for paths in dataset.taxonomy.paths], pl.Int32)
    columns = {name: getattr(dataset.events, name) for name in FIELDS}
    write_arrays(folder / "events", {name: values for name, values in columns.items() if values is not None})
    write_arrays(folder, {"item_path": codes.to_numpy()})
    settings = {
        "name": dataset.name,
        "kinds": list(dataset.kinds),
        "category_level": dataset.taxonomy.level,
        "users_are_baskets": dataset.users_are_baskets,
    }
    write_json(folder / "dataset.json", settings)


def load_dataset(folder: Path) -> Dataset:
    """The opposite of `save_dataset`; `ArtifactError` when a file is missing or cannot be read."""
    try:
        settings = read_json(folder / "dataset.json")
        items = pl.read_parquet(folder / "items.parquet")
        users = pl.read_parquet(folder / "users.parquet")
        distinct = [
            tuple(tuple(path) for path in paths)
            for paths in pl.read_parquet(folder / "paths.parquet")["paths"].to_list()
        ]
        codes = read_arrays(folder)["item_path"]
        columns = read_arrays(folder / "events", mmap=True)
        time = columns.get("time")
        events = Events(time=time, **{name: columns[name] for name in FIELDS if name != "time"})
        return Dataset(
            items=items,
            users=users,
            events=events,
            item_ids=Vocabulary(items["item_id"].to_list(), what="item"),
            user_ids=Vocabulary(users["user_id"].to_list(), what="user"),
            taxonomy=Taxonomy(tuple(distinct[code] for code in codes.tolist()), settings["category_level"]),
            kinds=tuple(settings["kinds"]),
            name=settings["name"],
            users_are_baskets=settings["users_are_baskets"],
        )
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{folder}: not a complete data set ({first}); fit again") from None
