"""Concatenates several files into one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossaisle.data.ingest.ledger import FILE_BITS
from crossaisle.data.ingest.source import Source

SHOWN = 3
"""Maximum number of per-file notes reported individually."""


def as_one(file: str, sources: Sequence[Source]) -> Source:
    """One source for several. Columns missing in a file are empty there, which the report mentions.

    Row numbers are those of each file, with the file number in the higher bits.
    """
    if len(sources) == 1:
        return sources[0]
    names = tuple(dict.fromkeys(name for source in sources for name in source.names))
    encodings = list(dict.fromkeys(s.encoding for s in sources if s.encoding))
    whole = Source(file, names, lambda _: iter(()), sources[0].first_row, ", ".join(encodings) or None)
    whole.files = tuple(source.file for source in sources)
    whole.nested = _nested(sources)
    starts: list[int] = []

    def file_rows(index: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        begin = np.array(starts)
        of_file = np.searchsorted(begin, index, side="right") - 1
        out = np.empty(len(index), np.int64)
        for number in np.unique(of_file):
            here = of_file == number
            out[here] = sources[number].file_rows(index[here] - begin[number]) + (int(number) << FILE_BITS)
        return out

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        done = 0
        for number, source in enumerate(sources):
            if source.names != names and (lacks := [n for n in wanted if n not in source.names]):
                source.notes.append(
                    f"{source.file}: has no column {', '.join(map(repr, lacks))}, so it is empty there"
                )
            starts.append(done)
            there = [n for n in wanted if n in source.names]
            for batch in source.batches(there):
                arrays = [
                    batch.column(n) if n in source.names else pa.nulls(batch.num_rows, pa.string())
                    for n in wanted
                ]
                done += batch.num_rows
                yield pa.RecordBatch.from_arrays(arrays, names=list(wanted))
            whole.misread.extend(m._replace(row=m.row + (number << FILE_BITS)) for m in source.misread)
        whole.notes.extend(_few(file, [note for source in sources for note in source.notes]))

    whole.batches, whole.rows_of, whole.folder = batches, file_rows, sources[0].folder
    return whole


def _nested(sources: Sequence[Source]) -> dict[str, tuple[str, ...]]:
    nested: dict[str, tuple[str, ...]] = {}
    for source in sources:
        for name, fields in source.nested.items():
            nested[name] = tuple(dict.fromkeys([*nested.get(name, ()), *fields]))
    return nested


def _few(file: str, notes: Sequence[str]) -> list[str]:
    more = len(notes) - SHOWN
    return [*notes[:SHOWN], *([f"{file}: {more:,} more notes about single files"] if more > 0 else [])]
