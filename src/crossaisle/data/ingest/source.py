"""`Source`: one table that can be read once, whatever file or frame it comes from."""

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
    """A row that could not be taken apart: set aside by the reader, never padded."""

    row: int
    rule: str
    text: str


class LeftOut(NamedTuple):
    """Rows that can be read, but are no rows of the table."""

    rule: str
    column: str
    rows: npt.NDArray[np.int64]
    """As `Source.file_rows` gives them."""
    values: pl.Series
    unlisted: int = 0
    """Further rows, of which only the number is known."""


@dataclass
class Source:
    """One table that can be read once, batch by batch."""

    file: str
    """What messages call it."""
    names: tuple[str, ...]
    """Its columns."""
    batches: Batches
    """Yields the columns asked for, in order."""
    first_row: int = 1
    """Number of the first row of data; 2 where a header stands before it."""
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)
    """Sentences for the report: what was guessed, and what looks odd once the file is read."""
    misread: list[Misread] = field(default_factory=list)
    """Filled while reading, in order."""
    folder: Path | None = None
    """Where the file lies; None for a frame."""
    files: tuple[str, ...] = ()
    """Its files, where it consists of several."""
    nested: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of lists, and the names that the fields of their entries have once they are unfolded."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Filled while reading: rows that a step before the checks has taken out."""
    rows_of: Callable[[npt.NDArray[np.integer]], npt.NDArray[np.int64]] | None = None
    """What `file_rows` gives, for a source that is made of others."""
    again: Callable[[], Source] | None = None
    """Opens the same table once more, for what has to be known before its rows are read."""

    def file_rows(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Row numbers in the file, given positions (from 0) among the rows that could be read.

        Of several files, the number of the file stands in the bits above (see `ledger.FILE_BITS`).
        """
        if self.rows_of is not None:
            return self.rows_of(index)
        before = np.array([m.row - self.first_row - i for i, m in enumerate(self.misread)], np.int64)
        skipped = np.searchsorted(before, index, side="right")
        return np.asarray(index + self.first_row + skipped, np.int64)


def lines(text: io.TextIOWrapper, file: str, limits: ReadLimits) -> Iterator[str]:
    """Lines of a bearable length: a file may hold nothing but one."""
    for number in itertools.count(1):
        line = text.readline(limits.csv_block + 1)
        if not line:
            return
        if len(line) > limits.csv_block:
            raise DataError(f"a line is longer than {limits.csv_block >> 20} MB", file=file, row=number)
        yield line
