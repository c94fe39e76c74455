"""`StudyContext`: where a study reads its data and writes its results, and how it reports progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import load_catalogue
from crossaisle.errors import shown
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.results import Row
from crossaisle.progress import Say, silent


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """The argument of every study's `run`."""

    name: str
    """Name of the benchmark."""
    out: Path
    """Folder for the results; created on writing."""
    root: str | Path | None = None
    """Folder of data sets that are not downloaded."""
    progress: bool = False
    say: Say = silent

    def load(self, catalogue: str, *, domain: str | None = None) -> Dataset:
        """A known data set, or one domain of it."""
        self.say(f"importing {shown(catalogue)}")
        return load_catalogue(catalogue, root=self.root, domain=domain, progress=self.progress).dataset

    def write(self, rows: Sequence[Row]) -> None:
        """Writes `results.json`; called after each data set, so that finished results are kept."""
        write_json(self.out / "results.json", rows)
