"""`Source`: one table that can be read once, from any kind of file or frame."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.errors import DataError

Batches = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


class Misread(NamedTuple):
    """A row that could not be parsed: set aside by the reader, never padded."""

    row: int
    rule: str
    text: str


class LeftOut(NamedTuple):
    """Rows that can be read but are not part of the table."""

    rule: str
    column: str
    rows: npt.NDArray[np.int64]
    """Row numbers in the file, as from `Source.file_rows`."""
    values: pl.Series
    unlisted: int = 0
    """Number of further rows, which are not listed."""


@dataclass
class Source:
    """One table that can be read once, batch by batch."""

    file: str
    """Its name in messages."""
    names: tuple[str, ...]
    """The names of its columns."""
    batches: Batches
    """Yields batches with the requested columns, in the requested order."""
    first_row: int = 1
    """Number of the first data row; 2 if it follows a header."""
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)
    """Sentences for the report: guesses, and anomalies found by the end of the file."""
    misread: list[Misread] = field(default_factory=list)
    """Filled during reading, in order."""
    folder: Path | None = None
    """The folder of the file; None for a frame."""
    files: tuple[str, ...] = ()
    """Its files, if there are several."""
    nested: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """List columns, and the names that their entries' fields get when exploded."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Filled during reading: rows removed by a step before the checks."""
    rows_of: Callable[[npt.NDArray[np.integer]], npt.NDArray[np.int64]] | None = None
    """The implementation of `file_rows` for sources derived from others."""
    again: Callable[[], Source] | None = None
    """Opens the same table again, for steps that need a pass over the rows beforehand."""

    def file_rows(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Row numbers in the file, given positions (from 0) among the readable rows.

        For several files, the higher bits contain the file number (see `ledger.FILE_BITS`).
        """
        if self.rows_of is not None:
            return self.rows_of(index)
        before = np.array([m.row - self.first_row - i for i, m in enumerate(self.misread)], np.int64)
        skipped = np.searchsorted(before, index, side="right")
        return np.asarray(index + self.first_row + skipped, np.int64)


def lines(text: io.TextIOWrapper, file: str, limits: ReadLimits) -> Iterator[str]:
    """Lines of limited length, as a file may consist of a single one."""
    for number in itertools.count(1):
        line = text.readline(limits.csv_block + 1)
        if not line:
            return
        if len(line) > limits.csv_block:
            raise DataError(f"a line is longer than {limits.csv_block >> 20} MB", file=file, row=number)
        yield line
