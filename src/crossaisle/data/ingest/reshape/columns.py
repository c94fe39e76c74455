"""What all steps need: columns as tidy texts, and an error where a column is missing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text, tidy
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError, nearest


def need(source: Source, name: str, setting: str) -> None:
    """`DataError` where the source has no such column."""
    if name not in source.names:
        raise DataError(
            f"{setting}: no such column{nearest(name, source.names)}", file=source.file, column=name
        )


def texts_of(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> pl.DataFrame:
    """Columns of a batch as tidy texts, null where nothing is left."""
    columns = {}
    for name in names:
        array = batch.column(name)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        columns[name] = pl.Series(as_text(array), dtype=pl.String)
    return pl.DataFrame(columns).select(tidy(pl.col(list(columns))))
