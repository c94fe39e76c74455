"""Saves a data set as files of a folder, parquet tables and `.npy` arrays, to be part of a saved model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from crossaisle.artifact import read_arrays, read_object, reading, write_arrays, write_json
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ingest.ledger import write_parquet
from crossaisle.data.kinds import Kinds
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ArtifactError

TEXTS = ("item_id", "title", "description", "brand", "price", "image", "in_stock", "attributes")
FIELDS = ("user", "item", "time", "kind", "value", "quantity", "basket")


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes `dataset.json`, `items.parquet`, `users.parquet`, `paths.parquet` and `events/*.npy`.

    The enclosing saved folder provides checksums and atomic replacement (`artifact.writing`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(dataset.items, folder / "items.parquet")
    write_parquet(dataset.users, folder / "users.parquet")
    distinct = list(dict.fromkeys(dataset.taxonomy.paths))
    code = {paths: i for i, paths in enumerate(distinct)}
    levels = pl.Series("paths", [[list(p) for p in paths] for paths in distinct], pl.List(pl.List(pl.String)))
    write_parquet(pl.DataFrame({"paths": levels}), folder / "paths.parquet")
    codes = pl.Series("path", [code[paths] for paths in dataset.taxonomy.paths], pl.Int32)
    log = dataset.raw.events
    columns = {name: getattr(log, name) for name in FIELDS}
    write_arrays(folder / "events", {name: values for name, values in columns.items() if values is not None})
    write_arrays(folder, {"item_path": codes.to_numpy()})
    settings = {
        "name": dataset.name,
        "currency": dataset.currency,
        "kinds": list(dataset.kinds),
        "meanings": dataset.meanings.to_dict(),
        "plain": dataset.log is None and dataset.against is None and dataset.events.weight is None,
        "category_level": dataset.taxonomy.level,
        "users_are_baskets": dataset.users_are_baskets,
    }
    if dataset.words:
        settings["words"] = dataset.words.state()
    settings["cleaning"] = dataset.cleaning.state()
    write_json(folder / "dataset.json", settings)


def load_dataset(folder: Path) -> Dataset:
    """The inverse of `save_dataset`; `ArtifactError` if a file is missing, unreadable or invalid."""
    with reading(folder):
        settings = read_object(folder / "dataset.json")
        items, users = _table(folder / "items.parquet"), _table(folder / "users.parquet")
        distinct = [
            tuple(tuple(path) for path in paths)
            for paths in _table(folder / "paths.parquet")["paths"].to_list()
        ]
        codes = read_arrays(folder)["item_path"]
        columns = read_arrays(folder / "events", mmap=True, gaps=("value",))
        kinds = tuple(settings["kinds"])
        _check_codes(folder / "item_path.npy", codes, len(distinct), exactly=len(items))
        within = {"user": len(users), "item": len(items), "kind": len(kinds)}
        for name, values in columns.items():
            file = folder / "events" / f"{name}.npy"
            _check_codes(file, values, within.get(name), exactly=len(columns["item"]))
        time = columns.get("time")
        events = Events(time=time, **{name: columns[name] for name in FIELDS if name != "time"})
        if missing := [name for name in TEXTS if name not in items.columns]:
            raise ArtifactError(f"{folder / 'items.parquet'}: lacks {', '.join(missing)}; fit again")
        made = Dataset(
            items=items,
            users=users,
            events=events,
            item_ids=Vocabulary(items["item_id"].to_list(), what="item"),
            user_ids=Vocabulary(users["user_id"].to_list(), what="user"),
            taxonomy=Taxonomy(tuple(map(distinct.__getitem__, codes.tolist())), settings["category_level"]),
            kinds=kinds,
            name=settings["name"],
            currency=settings.get("currency", ""),
            users_are_baskets=settings["users_are_baskets"],
            # models saved before kinds had meanings get the usual ones
            meanings=Kinds.read(settings["meanings"]) if "meanings" in settings else Kinds(),
            words=WordForms.restore(settings.get("words")),
            cleaning=ItemCleaning.restore(settings.get("cleaning")),
        )
        return made if settings.get("plain") else made.settled()


def _table(file: Path) -> pl.DataFrame:
    with reading(file):
        return pl.read_parquet(file)


def _check_codes(file: Path, codes: np.ndarray, below: int | None, *, exactly: int) -> None:
    """`below`: exclusive upper bound, or None for values that are not indices."""
    if codes.shape != (exactly,):
        raise ArtifactError(f"{file}: damaged: must hold {exactly:,} values; restore it or fit again")
    if below is not None and len(codes) and not 0 <= codes.min() <= codes.max() < below:
        raise ArtifactError(f"{file}: damaged: must be from 0 to {below - 1:,}; restore it or fit again")
