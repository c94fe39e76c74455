"""Filters rows by the values of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from crossaisle.data.ingest.clean import to_arrow
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.reshape.columns import need, texts_of
from crossaisle.data.ingest.reshape.origins import Origins
from crossaisle.data.ingest.source import LeftOut, Source
from crossaisle.table_config import Rows


def filtered(source: Source, keep: Rows, drop: Rows, limits: ReadLimits = READ_LIMITS) -> Source:
    """The source with only the rows that match `keep`, and without those that match `drop`.

    Values are compared as tidy texts, case-sensitively; "" is an empty cell, `*` matches any characters. Rows
    removed are listed in `left_out`.
    """
    tests = [(name, _pattern(values), True) for name, values in keep.items()]
    tests += [(name, _pattern(values), False) for name, values in drop.items()]
    for name, _, stays in tests:
        need(source, name, "keep" if stays else "drop")
    origins = Origins(source)
    out = replace(source, left_out=list(source.left_out), rows_of=origins.file_rows)

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        asked = list(dict.fromkeys([*wanted, *(name for name, _, _ in tests)]))
        done = listed = 0
        for batch in source.batches(asked):
            frame = texts_of(batch, list(dict.fromkeys(name for name, _, _ in tests)))
            left = np.ones(batch.num_rows, bool)
            for name, pattern, stays in tests:
                hit = frame[name].fill_null("").str.contains(pattern).to_numpy()
                gone = np.flatnonzero(left & (hit != stays))
                left[gone] = False
                told = gone[: max(limits.listed - listed, 0)]
                listed += len(told)
                rule = "not_kept" if stays else "dropped"
                rows, values = source.file_rows(told + done), frame[name].gather(told)
                out.left_out.append(LeftOut(rule, name, rows, values, len(gone) - len(told)))
            origins.add(np.flatnonzero(left) + done)
            done += batch.num_rows
            yield batch.select(list(wanted)).filter(to_arrow(left))
        out.left_out[:0] = source.left_out

    out.batches = batches
    return out


def _pattern(values: Sequence[str]) -> str:
    """A regular expression that matches any of the values."""
    return "^(?:" + "|".join(re.escape(v).replace(r"\*", ".*") for v in values) + ")$" if values else "^$^"
