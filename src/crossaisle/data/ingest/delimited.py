"""Tables as text with delimiters: CSV, TSV and their relatives.

Values between commas may be quoted. Values between tabs are not, as database exports and public review
files have them, unless the header is: there a quote is a character like any other.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from crossaisle.config import TableConfig
from crossaisle.data.ingest.encodings import encoding_of
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.source import Misread, Source, lines
from crossaisle.errors import DataError

_PIECE = 1 << 20


def read_csv(
    file: str,
    opener: Callable[[], IO[bytes]],
    path: Path,
    zipped: bool,
    config: TableConfig,
    limits: ReadLimits,
    *,
    tabs: bool,
) -> Source:
    """A source for text whose values stand between delimiters; `tabs`: which are known to be tabs."""
    encoding, note = encoding_of(file, opener, config.encoding)
    delimiter, quote, names = _header(
        file, opener, encoding, config.delimiter or ("\t" if tabs else None), config.quote, limits
    )
    if not names:
        raise DataError("the file is empty", file=file)
    source = Source(file, tuple(names), lambda _: iter(()), 2, encoding, [note] if note else [])

    def set_aside(row: Any) -> str:
        rule = "too_few_fields" if row.actual_columns < row.expected_columns else "too_many_fields"
        source.misread.append(Misread(row.number, rule, row.text))
        return "skip"

    def stream() -> Any:
        raw = pa.input_stream(opener() if zipped else str(path), compression=None)
        utf8 = encoding in ("utf-8", "utf-8-sig")
        return raw if utf8 else pa.transcoding_input_stream(raw, encoding, "utf-8")

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        reading = pacsv.ReadOptions(use_threads=False, block_size=limits.csv_block)
        parsing = pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            newlines_in_values=bool(quote),
            invalid_row_handler=set_aside,
        )
        counted = _CountedLines(stream())
        rows = enclosed = 0
        converting = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=list(wanted),
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,  # checked over the whole file already
        )
        try:
            for batch in pacsv.open_csv(counted, reading, parsing, converting):
                rows += batch.num_rows
                enclosed += 0 if quote or config.quote is not None else _enclosed(batch)
                yield batch
        except (pa.ArrowException, OSError, EOFError) as error:
            raise DataError(_csv_trouble(str(error), limits), file=file) from None
        if enclosed:
            source.notes.append(
                f"{file}: {enclosed:,} values between tabs begin and end with a quote, which was kept; if "
                "quotes enclose values, set quote to '\"'"
            )
        rows += len(source.misread)
        if counted.lines <= 1 + rows:
            return
        with stream() as raw:
            lines_of_data = _filled_lines(raw) - 1  # blank lines apart: they are no rows
        if lines_of_data > rows:
            source.notes.append(
                f"{file}: {lines_of_data:,} lines are {rows:,} rows, the other {lines_of_data - rows:,} "
                "stand within quotes; if they should be rows, set quote to ''"
            )

    source.batches = batches
    return source


def _header(
    file: str,
    opener: Callable[[], IO[bytes]],
    encoding: str,
    delimiter: str | None,
    quote: str | None,
    limits: ReadLimits,
) -> tuple[str, str, list[str]]:
    """Delimiter, quote ("" for none) and the names of the columns."""
    with io.TextIOWrapper(opener(), encoding=encoding, newline="") as text:
        head = itertools.dropwhile(lambda line: not line.strip("\r\n"), lines(text, file, limits))
        first = next(head, "")
        if delimiter is None:
            delimiter = max(",;\t|", key=first.count)
        if quote is None:
            quoted = first.lstrip("\ufeff").startswith('"')
            quote = '"' if delimiter != "\t" or quoted else ""
        # a byte order mark before a quoted name would make the quotes part of it
        rest = itertools.chain([first.removeprefix("\ufeff")], head)
        reader = (
            csv.reader(rest, delimiter=delimiter, quotechar=quote)
            if quote
            else csv.reader(rest, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        )
        names = next(reader, [])
    return delimiter, quote, names


def _csv_trouble(message: str, limits: ReadLimits) -> str:
    if "straddling" in message:
        return f"a row is longer than {limits.csv_block >> 20} MB: is a quote left open?"
    return f"cannot be read as CSV ({message.splitlines()[0]})"


def _enclosed(batch: pa.RecordBatch) -> int:
    """How many values begin and end with a quote."""
    masks = (pc.and_(pc.starts_with(c, '"'), pc.ends_with(c, '"')) for c in batch.columns)
    return sum(pc.sum(mask).as_py() or 0 for mask in masks)


class _CountedLines:
    """A stream that counts the lines that pass, blank ones included."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._line_feeds = 0
        self._ended = True
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`."""
        chunk: bytes = self._stream.read(size)
        if chunk:
            self._line_feeds += chunk.count(b"\n")
            self._ended = chunk.endswith(b"\n")
        return chunk

    @property
    def lines(self) -> int:
        """Lines so far, a last one without its end included."""
        return self._line_feeds + (not self._ended)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
        self._stream.close()


def _filled_lines(stream: Any) -> int:
    """Lines with something on them."""
    filled, last = 0, b"\n"
    while chunk := stream.read(_PIECE):
        raw = np.frombuffer(last + chunk, np.uint8)
        raw = raw[raw != ord("\r")]
        filled += int(np.count_nonzero((raw[1:] == ord("\n")) & (raw[:-1] != ord("\n"))))
        last = raw[-1:].tobytes()
    return filled + (last != b"\n")
