"""Rows of CSV text that people write, with Python's reader: one setting, and one line for what is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from crossaisle.errors import DataError

LONGEST = 1 << 24
"""Characters of a cell; the csv module's own limit, 131,072, is fewer than a description may have."""


def csv_rows(
    lines: Iterable[str], delimiter: str, file: str, *, quote: str = '"', comments: str = "", first: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """The number of the line on which each record begins, and its cells. Blank lines are no records.

    `lines`: with their ends. `comments`: what a line begins with that is none, where no quote is open; ""
    for nothing. `first`: the number of the first line. `DataError` for a cell that is too long, a quote that
    is left open, named with the line on which it opened, and text behind a closed one.
    """
    csv.field_size_limit(LONGEST)  # of the whole process: nothing else reads with this module
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
    """On which line of a record the cell begins that cannot be read, from 0."""
    text = "".join(record)
    q, d = re.escape(quote), re.escape(delimiter)
    cell = re.compile(rf"(?:{q}(?:[^{q}]|{q}{q})*{q}|(?!{q})[^{d}\r\n]*){d}")
    at = 0
    while (found := cell.match(text, at)) is not None:
        at = found.end()
    return text.count("\n", 0, at)
