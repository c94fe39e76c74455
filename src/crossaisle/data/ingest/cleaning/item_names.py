"""Item ids in events: counted in a pass of their own, and renamed while reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text
from crossaisle.data.ingest.source import Source
from crossaisle.data.text.ids import tidy_ids


def counted(source: Source, column: str) -> Mapping[str, int]:
    """Tidy id -> number of rows in a table."""
    counts = pl.Series("id", [], dtype=pl.String).value_counts()
    parts = [counts]
    for batch in source.batches([column]):
        ids = pl.DataFrame({"id": pl.Series(as_text(batch.column(column)), dtype=pl.String)})
        parts.append(ids.select(tidy_ids(pl.col("id")))["id"].drop_nulls().value_counts())
    table = pl.concat(parts).group_by("id").agg(pl.col("count").sum()).sort("id")
    return dict(table.iter_rows())


def renamed(source: Source, column: str, of: Mapping[str, str]) -> Source:
    """A source with the values of one column replaced."""

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for batch in source.batches(wanted):
            arrays = list(batch.columns)
            for at, name in enumerate(wanted):
                if name == column:
                    given = pl.Series("id", as_text(batch.column(at)), dtype=pl.String)
                    tidy = pl.DataFrame({"id": given}).select(tidy_ids(pl.col("id")))["id"]
                    named = tidy.is_in(list(of)).fill_null(False)
                    arrays[at] = tidy.replace(dict(of)).zip_with(named, given).to_arrow().cast(pa.string())
            yield pa.RecordBatch.from_arrays(arrays, names=list(wanted))

    return replace(source, batches=batches, rows_of=source.file_rows)
