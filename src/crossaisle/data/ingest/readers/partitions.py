"""Hive-style partitions, as written by Hive, Spark and DuckDB: columns in folder names,
`date=2024-01-01/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from urllib.parse import unquote

import pyarrow as pa

from crossaisle.data.ingest.source import Source

NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""The value in folder names that stands for null."""


def partition_of(folders: PurePath) -> dict[str, str | None]:
    """Columns and values in folder names; if a name occurs twice, the inner folder wins."""
    pairs = (part.partition("=") for part in folders.parts)
    return {
        unquote(name): None if value == NOTHING else unquote(value)
        for name, sign, value in pairs
        if sign and name
    }


def with_partition(source: Source, values: dict[str, str | None]) -> Source:
    """Adds a constant column per value; a column in the file itself takes precedence."""
    more = {name: value for name, value in values.items() if name not in source.names}
    if not more:
        return source
    out = replace(source, names=(*source.names, *more), rows_of=source.file_rows)

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        own = [name for name in wanted if name not in more] or list(source.names[:1])
        for batch in source.batches(own):
            arrays = dict(zip(own, batch.columns, strict=True))
            for name in wanted:
                if name in more:
                    arrays[name] = pa.repeat(pa.scalar(more[name], pa.string()), batch.num_rows)
            yield pa.RecordBatch.from_arrays([arrays[name] for name in wanted], names=list(wanted))

    out.batches = batches
    return out
