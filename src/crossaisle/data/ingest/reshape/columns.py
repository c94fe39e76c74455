"""Shared by all steps: columns as tidy texts, and the error for a missing column."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text, tidy
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError, nearest


def need(source: Source, name: str, setting: str) -> None:
    """`DataError` if the source does not have the column that a setting names."""
    if name not in source.names:
        raise DataError(
            f"{setting}: no such column{nearest(name, source.names)}", file=source.file, column=name
        )


def texts_of(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> pl.DataFrame:
    """Columns of a batch as tidy texts, null if empty."""
    columns = {}
    for name in names:
        array = batch.column(name)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        columns[name] = pl.Series(as_text(array), dtype=pl.String)
    return pl.DataFrame(columns).select(tidy(pl.col(list(columns))))
