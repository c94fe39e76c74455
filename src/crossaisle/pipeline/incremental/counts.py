"""Counts of a model's parts on disk, in a folder beside the model: serving does not need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from crossaisle import artifact
from crossaisle.errors import ArtifactError
from crossaisle.models.updates import Counts, Sums

KIND = "counts"
SINCE = "since"
"""Folder of what updates have added to a part's counts, so that these need not be written again."""
MUCH = 0.25
"""Where that has become this much of the counts, they are."""
_OF = "counts.json"


def folder_of(model: Path) -> Path:
    """Where the counts of a model lie."""
    return model.with_name(f"{model.name}{artifact.COUNTS}")


def save_counts(counts: Mapping[str, Counts], model: Path, save: Callable[[], object]) -> None:
    """Writes a model with its counts; they hold for this very model alone.

    `save`: writes the model, beside the writing of the counts.
    """

    def saved() -> str:
        save()
        # At once: while counts are written, a fit may put another model in its place.
        return artifact.sha256(model / artifact.MANIFEST)

    with artifact.writing(folder_of(model), KIND) as fresh, ThreadPoolExecutor(1) as other:
        saving = other.submit(saved)
        for name, own in counts.items():
            _save(own, fresh / name)
        artifact.write_json(fresh / _OF, {"model": saving.result()})


def load_counts(model: Path) -> dict[str, Counts] | None:
    """The counts of a saved model; None where there are none, they are another model's, or are damaged."""
    folder = folder_of(model)
    try:
        path = artifact.check(folder, KIND)
        if artifact.read_object(path / _OF).get("model") != artifact.sha256(model / artifact.MANIFEST):
            return None
        return {own.name: _load(own) for own in sorted(path.iterdir()) if own.is_dir()}
    except ArtifactError:  # nothing is lost: they can be counted again
        return None


def _save(counts: Counts, folder: Path) -> None:
    if isinstance(counts, Sums):
        base, since = artifact.pack(counts.base), artifact.pack(counts.since)
        if _bytes(since) < MUCH * _bytes(base):
            artifact.write_arrays(folder, base)  # links to the files that they were read from
            if since:
                artifact.write_arrays(folder / SINCE, since)
            return
    artifact.write_arrays(folder, artifact.pack(counts))


def _load(folder: Path) -> Sums:
    base = artifact.unpack(artifact.read_arrays(folder, mmap=True))
    since = folder / SINCE
    return Sums.of(base, artifact.unpack(artifact.read_arrays(since)) if since.is_dir() else {})


def _bytes(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays.values())
