"""Joins a further table, whose columns are added to those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.reshape.columns import need, texts_of
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError
from crossaisle.table_config import JoinConfig

KEY = "\0key"


def joined(source: Source, config: JoinConfig, right: Source, limits: ReadLimits = READ_LIMITS) -> Source:
    """The source with the columns of another table, joined on a key column.

    Keys are compared as tidy texts. A row without a match is kept; the report gives their number. Of columns
    in both tables, the first table's is used.
    """
    left_key, right_key = config.keys
    need(source, left_key, "join")
    need(right, right_key, "join")
    for name in config.columns:
        need(right, name, "join")
    added = [n for n in (config.columns or right.names) if n not in source.names and n != right_key]
    out = replace(source, names=(*source.names, *added), rows_of=source.file_rows)

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        beside = [n for n in wanted if n in added]
        own = list(dict.fromkeys([*(n for n in wanted if n not in added), left_key]))
        table = _by_key(right, right_key, beside, config.take, limits) if beside else None
        out.notes.extend(right.notes)
        if right.misread:
            bad = right.misread[0]
            out.notes.append(
                f"{right.file}: {len(right.misread):,} rows left out ({bad.rule}), such as {bad.text[:80]!r}"
            )
        rows = alone = 0
        for batch in source.batches(own):
            arrays = dict(zip(own, batch.columns, strict=True))
            if table is not None:
                keys = texts_of(batch, [left_key]).select(pl.col(left_key).alias(KEY))
                found = keys.join(table, on=KEY, how="left", maintain_order="left")
                arrays.update({n: found[n].to_arrow().cast(pa.string()) for n in beside})
                rows += batch.num_rows
                alone += found["\0found"].null_count()
            yield pa.RecordBatch.from_arrays([arrays[n] for n in wanted], names=list(wanted))
        if alone:
            out.notes.append(
                f"{source.file}: {alone:,} of {rows:,} rows have no match in {right.file} "
                f"({left_key!r} = {right_key!r})"
            )

    out.batches = batches
    return out


def _by_key(right: Source, key: str, columns: Sequence[str], take: str, limits: ReadLimits) -> pl.DataFrame:
    """One row per key; `take` decides which if there are several."""
    names = list(dict.fromkeys([key, *columns]))
    parts, rows = [], 0
    for batch in right.batches(names):
        parts.append(texts_of(batch, names))
        rows += batch.num_rows
        if rows > limits.joined:
            raise DataError(f"join: more than {limits.joined:,} rows; join it beforehand", file=right.file)
    if not rows:
        raise DataError("join: no readable row", file=right.file)
    table = pl.concat(parts).rename({key: KEY}).filter(pl.col(KEY).is_not_null())
    if take == "all":
        listed = pl.col(*columns).drop_nulls().unique(maintain_order=True).str.join(", ")
        table = table.group_by(KEY, maintain_order=True).agg(listed)
    else:
        table = table.unique(KEY, keep="first" if take == "first" else "last", maintain_order=True)
    return table.with_columns(pl.lit(True).alias("\0found"))
