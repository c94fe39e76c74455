"""Updates a saved model in place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import polars as pl

from crossaisle.artifact import MANIFEST, may_replace, reading, sha256
from crossaisle.config import DataConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.errors import ArtifactError, DataError
from crossaisle.pipeline.incremental.alone import updating
from crossaisle.pipeline.incremental.counts import folder_of, load_counts, save_counts
from crossaisle.pipeline.incremental.merge import Added, with_new
from crossaisle.pipeline.incremental.update import count, update
from crossaisle.recommend.recommender import Recommender


class Outcome(NamedTuple):
    """What an update of a folder came to."""

    recommender: Recommender
    lines: list[str]
    """For people."""
    events: int
    seconds: dict[str, float]
    """Of `load`, `merge`, `update` and `save`."""


def known_items(model: Path) -> tuple[list[str], bool]:
    """Ids of the items of a saved model, and whether it knows more of any than the id."""
    file = model / "catalogue" / "items.parquet"
    if not file.is_file():  # whoever loads the model says what is wrong
        return [], False
    with reading(file):
        items = pl.read_parquet(file, columns=["item_id", "title", "brand", "description", "price"])
    told = items.select(
        pl.any_horizontal(pl.col("title", "brand", "description") != "", pl.col("price").is_not_null()).any()
    )
    return items["item_id"].to_list(), bool(told.item())


def import_new(data: DataConfig, model: Path, *, progress: bool = False) -> Imported:
    """What the files say, read for a saved model: events of items that neither it nor a file of items knows
    are set aside, as `unknown_item`. `DataError` where most items of a file without a catalogue are such.

    Without a file of items, a model that knows nothing but ids learns the new ones from the events.
    """
    ids, told = known_items(model)
    known = ids if told or data.items is not None else []
    imported = import_dataset(data, progress=progress, whole=False, known=known)
    if known and data.items is None:
        rejected = imported.rejected.filter(table="events", rule="unknown_item")
        foreign, here = rejected["value"].n_unique(), int((imported.dataset.item_counts > 0).sum())
        if foreign > here:
            raise DataError(
                f"{imported.dataset.name}: this does not look like the shop that the model was fitted "
                f"on: the model knows {here:,} of {here + foreign:,} items, but not "
                f"{rejected['value'][0]!r}, for example: fit it into a folder of its own, or give the "
                "catalogue as [data.items]"
            )
    return imported


def check_counts(model: Path) -> None:
    """Raises `ArtifactError` where the counts of a model could not be saved because something else is there.

    For long work to ask before it begins.
    """
    may_replace(folder_of(model))


def save_with_counts(recommender: Recommender, model: Path) -> None:
    """Saves a model as `fit` does, and beside it what later updates go on from."""
    check_counts(model)
    save_counts(count(recommender), model, lambda: recommender.save(model, half=True))


def update_folder(model: Path, imported: Dataset) -> Outcome:
    """Adds the events of an import that a saved model lacks; the folder is replaced at the end, at once.

    Without new events it stays as it is. `ArtifactError` where it is no model, where its counts could not be
    saved, and where another process updates or replaces it.
    """
    check_counts(model)
    with updating(model):
        return _update(model, imported)


def _update(model: Path, imported: Dataset) -> Outcome:
    times, read = [time.perf_counter()], _state(model)
    base, counts = Recommender.load(model), load_counts(model)
    times.append(time.perf_counter())
    added = with_new(base.dataset, imported)
    times.append(time.perf_counter())
    notes = _notes(base.dataset, added)
    if not added.events and added.same_texts:
        return Outcome(base, ["no new events: the model stays as it is", *notes], 0, _seconds(times))
    found = update(base, added, counts)
    times.append(time.perf_counter())
    if _state(model) != read:
        raise ArtifactError(
            f"{model}: was replaced while this update ran, so the update was not saved: run it again"
        )
    save_counts(found.counts, model, lambda: found.recommender.save(model, half=True))
    times.append(time.perf_counter())
    lines = found.lines(added.events, len(added.change.users))
    if added.items:
        lines.insert(1, f"{added.items:,} new items in the catalogue: texts were read again")
    lines += notes
    return Outcome(found.recommender, lines, added.events, _seconds(times))


def _notes(before: Dataset, added: Added) -> list[str]:
    """What is odd about the new events, and what of the catalogue the files have nothing of."""
    found = []
    kinds = [kind for kind in added.change.after.kinds if kind not in before.kinds]
    if kinds:
        found.append(f"kinds of events that the model did not know: {', '.join(kinds)}")
    if added.older:
        found.append(f"{added.older:,} of the new events are older than the model's newest event")
    if added.kept:
        counts = ", ".join(f"{name} of {count:,}" for name, count in added.kept.items())
        found.append(f"fields that are empty in the files keep what is known: {counts}")
    return found


def _state(model: Path) -> str:
    """Tells a saved model from the one that replaces it; empty where there is none."""
    file = model / MANIFEST
    return sha256(file) if file.is_file() else ""


def _seconds(times: list[float]) -> dict[str, float]:
    names = ("load", "merge", "update", "save")
    return {name: end - start for name, start, end in zip(names, times, times[1:], strict=False)}
