"""A saved model is updated where it lies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from crossaisle.artifact import MANIFEST, may_replace, sha256
from crossaisle.data.dataset import Dataset
from crossaisle.errors import ArtifactError
from crossaisle.pipeline.incremental.alone import updating
from crossaisle.pipeline.incremental.counts import folder_of, load_counts, save_counts
from crossaisle.pipeline.incremental.merge import with_new
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
    if not added.events and added.same_texts:
        return Outcome(base, ["no new events: the model stays as it is"], 0, _seconds(times))
    found = update(base, added, counts)
    times.append(time.perf_counter())
    if _state(model) != read:
        raise ArtifactError(
            f"{model}: was replaced while this update ran, and is left as it is: run this update again"
        )
    save_counts(found.counts, model, lambda: found.recommender.save(model, half=True))
    times.append(time.perf_counter())
    lines = found.lines(added.events, len(added.change.users))
    if added.items:
        lines.insert(1, f"{added.items:,} new items in the catalogue: texts were read again")
    return Outcome(found.recommender, lines, added.events, _seconds(times))


def _state(model: Path) -> str:
    """Tells a saved model from the one that replaces it; empty where there is none."""
    file = model / MANIFEST
    return sha256(file) if file.is_file() else ""


def _seconds(times: list[float]) -> dict[str, float]:
    names = ("load", "merge", "update", "save")
    return {name: end - start for name, start, end in zip(names, times, times[1:], strict=False)}
