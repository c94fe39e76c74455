"""Rows of hand-written CSV text, read with Python's csv module: one configuration, one-line errors."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from crossaisle.errors import DataError

LONGEST = 1 << 24
"""Maximum characters per cell; the csv module's default, 131,072, is too small for some descriptions."""


def csv_rows(
    lines: Iterable[str], delimiter: str, file: str, *, quote: str = '"', comments: str = "", first: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """Yields each record's first line number, and its cells. Blank lines are skipped.

    `lines`: including line ends. `comments`: prefix of lines to skip outside of quotes; "" for none. `first`:
    the number of the first line. `DataError` for a cell that is too long, an unclosed quote, named with the
    line on which it opened, and text after a closing quote.
    """
    csv.field_size_limit(LONGEST)  # applies to the whole process, but nothing else uses this module
    record: list[str] = []

    def fed() -> Iterator[str]:
        for line in lines:
            passed = not record and (not line.strip() or (comments and line.lstrip().startswith(comments)))
            record.append(line)
            yield "\n" if passed else line

    form = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(fed(), delimiter=delimiter, strict=bool(quote), **form)
    number = first
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _trouble(error, record, delimiter, quote, file, number) from None
        if cells is None:
            return
        if cells:
            yield number, cells
        number += len(record)
        record.clear()


def _trouble(
    error: csv.Error, record: Sequence[str], delimiter: str, quote: str, file: str, number: int
) -> DataError:
    if "field limit" in str(error):
        rule = f"a cell is longer than {LONGEST >> 20} million characters: is a quote left open?"
        return DataError(rule, file=f"{file}, line {number}")
    opened = number + _opened(record, delimiter, quote)
    if "unexpected end" in str(error):
        rule = f"a quote ({quote}) is opened here and never closed"
    else:
        last = number + len(record) - 1
        rule = (
            f"a quote ({quote}) is opened here and closed in the middle of line {last}: close it "
            "earlier, or double quotes inside quoted text"
        )
    return DataError(rule, file=f"{file}, line {opened}")


def _opened(record: Sequence[str], delimiter: str, quote: str) -> int:
    """The line of a record, from 0, on which the unreadable cell starts."""
    text = "".join(record)
    q, d = re.escape(quote), re.escape(delimiter)
    cell = re.compile(rf"(?:{q}(?:[^{q}]|{q}{q})*{q}|(?!{q})[^{d}\r\n]*){d}")
    at = 0
    while (found := cell.match(text, at)) is not None:
        at = found.end()
    return text.count("\n", 0, at)
