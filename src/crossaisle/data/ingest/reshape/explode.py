"""Explodes lists: each entry of a column becomes a row, as needed for logs of sessions and orders (GA4,
OTTO)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from crossaisle.data.ingest.clean import shown, texts, to_arrow, to_numpy
from crossaisle.data.ingest.readers.jsonlines import json_text, python_literal, within
from crossaisle.data.ingest.readers.typed import is_list
from crossaisle.data.ingest.reshape.columns import need
from crossaisle.data.ingest.reshape.origins import Origins
from crossaisle.data.ingest.source import LeftOut, Source
from crossaisle.errors import DataError


def exploded(source: Source, column: str, named: Sequence[str]) -> Source:
    """The source with one row per entry of a list column.

    Fields of an entry become columns `column.field`; an entry that is not an object is the value of `column`.
    A row with an empty list has no event and is listed in `left_out`. `named`: columns that the settings
    name, for files that do not show which fields exist.
    """
    need(source, column, "explode")
    fields = source.nested.get(column, ()) or tuple(n for n in named if n.startswith(f"{column}."))
    names = tuple(dict.fromkeys([*source.names, *fields]))
    origins = Origins(source)
    out = replace(source, names=names, rows_of=origins.file_rows, left_out=list(source.left_out))
    out.nested = {name: parts for name, parts in source.nested.items() if name != column}

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        inner = [n for n in wanted if n == column or (n.startswith(f"{column}.") and n not in source.names)]
        plain = [n for n in wanted if n not in inner]
        done = 0
        for batch in source.batches(list(dict.fromkeys([*plain, column]))):
            lists = batch.column(column)
            odd = np.empty(0, np.int64)
            if is_list(lists.type):
                parents, arrays = _typed(lists, column, inner)
            else:
                parents, arrays, odd = _parsed(lists, column, inner)
                _refuse(odd, lists, column, source)
            arrays.update({n: batch.column(n).take(to_arrow(parents)) for n in plain})
            empty = np.setdiff1d(np.arange(batch.num_rows), np.concatenate([parents, odd]))
            for rule, rows in (("empty_list", empty), ("not_a_list", odd)):
                if len(rows):
                    values = shown(lists.take(to_arrow(rows)))
                    out.left_out.append(LeftOut(rule, column, source.file_rows(rows + done), values))
            origins.add(parents + done)
            done += batch.num_rows
            yield pa.RecordBatch.from_arrays([arrays[n] for n in wanted], names=list(wanted))
        out.left_out[:0] = source.left_out

    out.batches = batches
    return out


Unfolded = tuple[np.ndarray, dict[str, pa.Array]]
"""int64 row of each entry, and the columns of the entries."""


def _typed(lists: pa.Array, column: str, wanted: Sequence[str]) -> Unfolded:
    parents = to_numpy(pc.list_parent_indices(lists)).astype(np.int64)
    entries = pc.list_flatten(lists)
    arrays = {}
    for name in wanted:
        array = entries
        for field in name.removeprefix(column).split(".")[1:]:
            array = pc.struct_field(array, field)
        arrays[name] = array
    return parents, arrays


def _parsed(
    cells: pa.Array, column: str, wanted: Sequence[str]
) -> tuple[np.ndarray, dict[str, pa.Array], np.ndarray]:
    """The result of `_typed` for lists stored as text, and the rows without a list."""
    parents: list[int] = []
    found: list[Any] = []
    odd: list[int] = []
    for row, text in enumerate(pl.Series(cells, dtype=pl.String)):
        entries = _entries(text)
        if entries is None:
            odd.append(row)
            continue
        parents.extend([row] * len(entries))
        found.extend(entries)
    arrays = {}
    for name in wanted:
        path = name.removeprefix(column).split(".")[1:]
        arrays[name] = texts(json_text(within(entry, path)) for entry in found)
    return np.array(parents, np.int64), arrays, np.array(odd, np.int64)


def _refuse(odd: np.ndarray, cells: pa.Array, column: str, source: Source) -> None:
    """`DataError` if no row contains a list."""
    if len(odd) and len(odd) + cells.null_count == len(cells):
        value = cells[int(odd[0])].as_py()
        raise DataError("explode: not a JSON list", file=source.file, column=column, value=value)


def _entries(text: str | None) -> list[Any] | None:
    """The list in a cell; an object counts as a list of one."""
    if text is None or not text.strip():
        return []
    try:
        value = json.loads(text)
    except ValueError:
        value = python_literal(text.strip())
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else None
