"""Fills empty cells with the value of the row above, as in spreadsheets and Shopify's exports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text
from crossaisle.data.ingest.reshape.columns import need, texts_of
from crossaisle.data.ingest.source import Source
from crossaisle.table_config import FillConfig


def filled_down(source: Source, config: FillConfig) -> Source:
    """The source with values filled from the row above, but only between rows with the same value of `by`.

    A row whose `by` is empty belongs to the row above.
    """
    for name in (*config.columns, *((config.by,) if config.by else ())):
        need(source, name, "fill_down")

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        filled = [name for name in wanted if name in config.columns]
        asked = list(dict.fromkeys([*wanted, *([config.by] if config.by and filled else [])]))
        above: dict[str, str | None] = {}
        for batch in source.batches(asked):
            if not filled or not batch.num_rows:
                yield batch.select(list(wanted))
                continue
            arrays = dict(zip(asked, batch.columns, strict=True))
            frame = _with_row_above(batch, filled, config.by, above)
            arrays.update({name: as_text(frame[name][1:].to_arrow()) for name in filled})
            above = frame.row(-1, named=True)
            yield pa.RecordBatch.from_arrays([arrays[name] for name in wanted], names=list(wanted))

    return replace(source, batches=batches, rows_of=source.file_rows)


def _with_row_above(
    batch: pa.RecordBatch, filled: Sequence[str], by: str | None, above: dict[str, str | None]
) -> pl.DataFrame:
    """The filled columns as texts, preceded by the last row of the previous batch."""
    names = [*filled, *([by] if by and by not in filled else [])]
    frame = texts_of(batch, names)
    first = pl.DataFrame({name: pl.Series([above.get(name)], dtype=pl.String) for name in names})
    frame = pl.concat([first, frame])
    if by is None:
        return frame.with_columns(pl.col(*filled).forward_fill())
    frame = frame.with_columns(pl.col(by).forward_fill())
    run = pl.col(by).ne_missing(pl.col(by).shift()).cum_sum()
    return frame.with_columns(pl.col(name).forward_fill().over(run) for name in filled if name != by)
