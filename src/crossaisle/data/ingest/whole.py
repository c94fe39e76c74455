"""Shared by items and users: a table read whole, its ids checked, with a reason for each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text, shown, tidied_ids, to_arrow
from crossaisle.data.ingest.ledger import Ledger, Tally
from crossaisle.data.ingest.source import Source
from crossaisle.data.ingest.texts.reading import clean_texts
from crossaisle.errors import DataError

Mask = npt.NDArray[np.bool_]


class Whole:
    """A table read whole, with its ids checked: `keep` marks rows with a valid id that no earlier row has."""

    def __init__(
        self,
        table: str,
        id_name: str,
        source: Source,
        found: Mapping[str, tuple[str, ...]],
        nulls: Sequence[str],
        ledger: Ledger,
    ) -> None:
        self.table, self.source, self.found, self.ledger = table, source, found, ledger
        self.nulls = nulls
        wanted = list(dict.fromkeys(name for names in found.values() for name in names))
        batches = list(source.batches(wanted))
        tally = ledger.tallies[table] = Tally(source.file, source.encoding, files=source.files)
        note_misread(table, source, ledger)
        if not batches or not sum(b.num_rows for b in batches):
            raise DataError("there is a header but no readable row", file=source.file)
        self.raw = one_table(batches)
        tally.read += self.raw.num_rows
        self.ids, repaired, refused = tidied_ids(self.text(id_name, tidied=False), nulls)
        self.keep: Mask = np.ones(self.raw.num_rows, bool)
        for rule, mask in refused.items():
            refuse_ids(rule, mask, self.column(id_name), id_name, found[id_name][0], source)
            self.drop(rule, id_name, mask)
        self.drop(f"missing_{id_name}", id_name, self.ids.is_null().to_numpy())
        self.drop(f"duplicate_{id_name}", id_name, ~self.ids.is_first_distinct().to_numpy())
        for rule, mask in repaired.items():
            self.repair(rule, id_name, mask)

    def column(self, name: str) -> pa.Array:
        """A column of the file, by its canonical name."""
        return one_array(self.raw.column(self.found[name][0]))

    def text(self, name: str, *, tidied: bool = True) -> pl.Series:
        """A column as text; if tidied, without values that mean "no value"."""
        text = pl.Series(as_text(self.column(name)), dtype=pl.String)
        return self.clean(text) if tidied else text

    def names(self, name: str) -> pl.Series:
        """A column of names to be compared, tidied like ids; null if missing."""
        names, repaired, _ = tidied_ids(self.text(name, tidied=False), self.nulls, refuse=False)
        for rule, mask in repaired.items():
            self.repair(rule, name, mask)
        return names

    def clean(self, text: pl.Series) -> pl.Series:
        """Tidy text, null if empty or meaning "no value"."""
        return clean_texts(text, self.nulls)

    def drop(self, rule: str, column: str, mask: Mask) -> None:
        """Sets aside rows that are still kept."""
        index = np.flatnonzero(mask & self.keep)
        self.keep[index] = False
        self.ledger.set_aside(
            self.table,
            rule,
            column,
            self.source.file_rows(index),
            self._values(column, index),
            raw_json(self.raw, index),
        )

    def repair(self, rule: str, column: str, mask: Mask, listed: int | None = None) -> None:
        """Records that values of kept rows were changed; if many, only the first `listed` individually."""
        index = np.flatnonzero(mask & self.keep)
        if listed is not None and len(index) > listed:
            self.ledger.tallies[self.table].repaired[rule] += len(index) - listed
            index = index[:listed]
        rows = self.source.file_rows(index)
        self.ledger.repaired(self.table, rule, column, rows, self._values(column, index))

    def _values(self, column: str, index: npt.NDArray[np.int64]) -> list[str | None]:
        picked = [shown(one_array(self.raw.column(n)).take(to_arrow(index))) for n in self.found[column]]
        return list(picked[0])


def note_misread(table: str, source: Source, ledger: Ledger) -> None:
    """Records rows that the reader could not parse, and those removed by a filter."""
    tally = ledger.tallies[table]
    tally.read += len(source.misread)
    for rule in dict.fromkeys(m.rule for m in source.misread):
        rows = [m for m in source.misread if m.rule == rule]
        texts = [m.text for m in rows]
        ledger.set_aside(table, rule, None, [m.row for m in rows], texts, texts)
    unlisted = 0
    for part in source.left_out:
        tally.read += len(part.rows) + part.unlisted
        unlisted += part.unlisted
        ledger.set_aside(table, part.rule, part.column, part.rows, part.values)
        if part.unlisted:
            tally.set_aside[part.rule] += part.unlisted
    if unlisted:
        ledger.warn(
            f"{table}: {unlisted:,} more rows were filtered out and counted; they are not listed one by one"
        )


def refuse_ids(rule: str, mask: Mask, values: pa.Array, name: str, column: str, source: Source) -> None:
    """`DataError` if most values cannot be ids, that is, if it is the wrong column or a damaged one."""
    if 2 * np.count_nonzero(mask) > len(mask):
        value = shown(values.take(to_arrow(np.flatnonzero(mask)[:1])))[0]
        raise no_ids(rule, value, name, column, source)


def no_ids(rule: str, value: str | None, name: str, column: str, source: Source) -> DataError:
    """The error for a column whose values cannot be ids, with what to do."""
    if rule == "shortened_id":
        what = "a spreadsheet has cut the last digits of these numbers: export the column as text"
    else:
        top = column if column in source.nested else column.split(".")[0]
        fields = source.nested.get(top, ())
        inner = fields[0] if fields else f"{top}.{name}"
        what = (
            f"a list or an object is not an id: set explode = {top!r} and map {name} to a field "
            f"of it, such as {inner!r}"
        )
    return DataError(what, file=source.file, column=column, value=value)


def one_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Concatenates batches; a column with several types among them becomes text."""
    if all(batch.schema.equals(batches[0].schema) for batch in batches):
        return pa.Table.from_batches(batches).combine_chunks()
    columns = {}
    for name in batches[0].schema.names:
        arrays = [batch.column(name) for batch in batches]
        same = len({array.type for array in arrays}) == 1
        columns[name] = pa.chunked_array(arrays if same else [as_text(a) for a in arrays])
    return pa.table(columns).combine_chunks()


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as a single array."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return column


def raw_json(rows: pa.Table | pa.RecordBatch, index: npt.NDArray[np.integer]) -> pl.Series:
    """Some rows as JSON, with long texts truncated."""
    picked = pl.DataFrame(
        {name: shown(one_array(rows.column(name)).take(to_arrow(index))) for name in rows.schema.names}
    )
    short = picked.select(pl.all().str.slice(0, 200))
    return short.select(pl.struct(pl.all()).struct.json_encode().alias("raw"))["raw"]
