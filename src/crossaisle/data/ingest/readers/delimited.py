"""Delimited text: CSV, TSV and the like.

Comma-separated values may be quoted. In tab-separated files, such as database exports and public review data,
a quote is an ordinary character, unless the header is quoted.
"""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.readers.csv_rows import csv_rows
from crossaisle.data.ingest.readers.encodings import encoding_of
from crossaisle.data.ingest.readers.parts import Part
from crossaisle.data.ingest.schema import looks_like_data
from crossaisle.data.ingest.source import Misread, Source, lines
from crossaisle.errors import DataError
from crossaisle.table_config import FileConfig

_PIECE = 1 << 20
ONE = "\x1f"
"""ASCII "unit separator", used internally in place of delimiters with several characters."""


def read_csv(part: Part, config: FileConfig, limits: ReadLimits, *, tabs: bool) -> Source:
    """A source for delimited text; `tabs`: whether it is known to be tab-separated."""
    file = part.file
    encoding, note = encoding_of(file, part.opener, config.encoding)
    form = _form(part, encoding, config, limits, tabs=tabs)
    source = Source(
        file, form.names, lambda _: iter(()), 2 if config.header else 1, encoding, [note] if note else []
    )
    if config.header and looks_like_data(form.first):
        source.notes.append(
            f"{file}: the first line looks like data ({_shown(form.first)}) and was read as "
            "column names: set header = false if it is a row"
        )

    def set_aside(row: Any) -> str:
        rule = "too_few_fields" if row.actual_columns < row.expected_columns else "too_many_fields"
        source.misread.append(Misread(row.number, rule, row.text.replace(ONE, form.delimiter)))
        return "skip"

    def stream() -> Any:
        raw = pa.input_stream(part.opener() if part.path is None else str(part.path), compression=None)
        utf8 = encoding in ("utf-8", "utf-8-sig")
        return raw if utf8 else pa.transcoding_input_stream(raw, encoding, "utf-8")

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        reading = pacsv.ReadOptions(use_threads=False, block_size=limits.csv_block)
        if not config.header or config.names:
            reading.column_names = list(form.names)
            reading.skip_rows_after_names = int(config.header)
        parsing = pacsv.ParseOptions(
            delimiter=form.delimiter if len(form.delimiter) == 1 else ONE,
            quote_char=form.quote or False,
            newlines_in_values=bool(form.quote),
            invalid_row_handler=set_aside,
        )
        counted = _CountedLines(stream(), form.delimiter)
        rows = enclosed = 0
        converting = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=list(wanted),
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,  # already checked over the whole file
        )
        try:
            held = sys.getrefcount(counted)
            reader = pacsv.open_csv(counted, reading, parsing, converting)
            try:
                for batch in reader:
                    rows += batch.num_rows
                    enclosed += 0 if form.quote or config.quote is not None else _enclosed(batch)
                    yield batch
            finally:
                counted.stop(reader)
                del reader
                counted.wait(held)
        except (pa.ArrowException, OSError, EOFError) as error:
            raise DataError(_csv_trouble(str(error), limits), file=file) from None
        if enclosed:
            source.notes.append(
                f"{file}: {enclosed:,} values between tabs begin and end with a quote, which was kept; if "
                "quotes enclose values, set quote to '\"'"
            )
        rows += len(source.misread)
        if counted.lines > config.header + rows:
            source.notes.extend(_swallowed(file, stream, rows, config.header))

    source.batches = batches
    return source


def _swallowed(file: str, stream: Callable[[], Any], rows: int, header: bool) -> list[str]:
    """A note if there are more non-blank lines than rows."""
    with stream() as raw:
        lines_of_data = _filled_lines(raw) - header
    if lines_of_data <= rows:
        return []
    return [
        f"{file}: {lines_of_data:,} lines make {rows:,} rows: the other "
        f"{lines_of_data - rows:,} are inside quotes; if each line should be a row, set quote "
        "to ''"
    ]


@dataclass(frozen=True)
class _Form:
    """A file's format, from its first line and the settings."""

    delimiter: str
    quote: str
    """"" if values are not quoted."""
    names: tuple[str, ...]
    first: tuple[str, ...]
    """The cells of the first line."""


def _form(part: Part, encoding: str, config: FileConfig, limits: ReadLimits, *, tabs: bool) -> _Form:
    delimiter = config.delimiter or ("\t" if tabs else None)
    with io.TextIOWrapper(part.opener(), encoding=encoding, newline="") as text:
        head = itertools.dropwhile(lambda line: not line.strip("\r\n"), lines(text, part.file, limits))
        first = next(head, "")
        if "\0" in first:
            raise DataError(
                "NUL bytes in the first line: this is not a text file, or it is damaged", file=part.file
            )
        if delimiter is None:
            delimiter = max(",;\t|", key=first.count)
            if not first.count(delimiter) and "::" in first:
                delimiter = "::"
        quote = config.quote
        if quote is None:
            quoted = first.lstrip("\ufeff").startswith('"')
            quote = '"' if len(delimiter) == 1 and (delimiter != "\t" or quoted) else ""
        # otherwise the quotes after a byte order mark would become part of the name
        rest = itertools.chain([first.removeprefix("\ufeff")], head)
        if len(delimiter) > 1:
            cells = first.removeprefix("\ufeff").rstrip("\r\n").split(delimiter)
        else:
            _, cells = next(csv_rows(rest, delimiter, part.file, quote=quote), (1, []))
    if not cells:
        raise DataError("the file is empty", file=part.file)
    if config.names and len(config.names) != len(cells):
        raise DataError(
            f"the first line has {len(cells)} values ({_shown(cells)}), names has {len(config.names)}",
            file=part.file,
        )
    numbered = [str(n) for n in range(1, len(cells) + 1)]
    names = config.names or (cells if config.header else numbered)
    return _Form(delimiter, quote, tuple(names), tuple(cells))


def _shown(cells: Sequence[str]) -> str:
    return " ".join(", ".join(cells[:5]).split())[:80] + (", …" if len(cells) > 5 else "")


def _csv_trouble(message: str, limits: ReadLimits) -> str:
    if "straddling" in message:
        return f"a row is longer than {limits.csv_block >> 20} MB: is a quote left open?"
    return f"cannot be read as CSV ({message.splitlines()[0]})"


def _enclosed(batch: pa.RecordBatch) -> int:
    """Number of values that start and end with a quote."""
    masks = (pc.and_(pc.starts_with(c, '"'), pc.ends_with(c, '"')) for c in batch.columns)
    return sum(pc.sum(mask).as_py() or 0 for mask in masks)


class _CountedLines:
    """A stream that counts the lines read, blank ones included, and replaces long delimiters by one byte."""

    def __init__(self, stream: Any, delimiter: str) -> None:
        self._stream = stream
        self._long = delimiter.encode() if len(delimiter) > 1 else b""
        self._held = b""
        self._line_feeds = 0
        self._ended = True
        self.closed = self.stopped = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; none after `stop`."""
        chunk: bytes = b"" if self.stopped else self._stream.read(size)
        if chunk:
            self._line_feeds += chunk.count(b"\n")
            self._ended = chunk.endswith(b"\n")
        return self._shortened(chunk) if self._long else chunk

    def stop(self, reader: Any) -> None:
        """Makes a reader that was abandoned but still reads ahead see the end of the file."""
        self.stopped = True
        with reader, suppress(pa.ArrowException, OSError, EOFError):
            for _ in reader:
                pass

    def wait(self, held: int, seconds: float = 1.0) -> None:
        """Waits until no other thread refers to this stream; `held`: references before the reader was
        created.

        If an Arrow thread releases it during interpreter shutdown, the process dies with SIGABRT.
        """
        end = time.monotonic() + seconds
        while sys.getrefcount(self) > held + 1 and time.monotonic() < end:
            time.sleep(0.001)

    def _shortened(self, chunk: bytes) -> bytes:
        whole, self._held = self._held + chunk, b""
        if chunk:  # the start of a delimiter must wait for the rest of it
            for n in range(min(len(self._long) - 1, len(whole)), 0, -1):
                if whole.endswith(self._long[:n]) and not whole.endswith(self._long):
                    whole, self._held = whole[:-n], whole[-n:]
                    break
            if not whole:
                return self.read()
        return whole.replace(self._long, ONE.encode())

    @property
    def lines(self) -> int:
        """Number of lines so far, including a last one without line end."""
        return self._line_feeds + (not self._ended)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
        self._stream.close()


def _filled_lines(stream: Any) -> int:
    """Number of non-blank lines."""
    filled, last = 0, b"\n"
    while chunk := stream.read(_PIECE):
        raw = np.frombuffer(last + chunk, np.uint8)
        raw = raw[raw != ord("\r")]
        filled += int(np.count_nonzero((raw[1:] == ord("\n")) & (raw[:-1] != ord("\n"))))
        last = raw[-1:].tobytes()
    return filled + (last != b"\n")
