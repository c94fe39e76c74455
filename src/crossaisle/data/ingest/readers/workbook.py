"""Sheets of workbooks: Excel's (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument's (.ods)."""

from __future__ import annotations

import datetime as dt
import itertools
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError, MissingDependencyError
from crossaisle.table_config import FileConfig

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
HEAD = 30
"""Number of rows in which the header is searched for."""
_EXACT = 2.0**53
"""Workbooks store all numbers as floats; whole ones below this become integers."""


def sheet_names(path: Path, limits: ReadLimits) -> tuple[list[str], list[str]]:
    """The non-empty worksheets: visible ones, and hidden ones."""
    book = _opened(path, limits)
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    visible: list[str] = []
    hidden: list[str] = []
    for about in book.sheets_metadata:
        if about.typ == SheetTypeEnum.WorkSheet and _sheet(book, about.name, path).height:
            (visible if about.visible == SheetVisibleEnum.Visible else hidden).append(about.name)
    return visible, hidden


def is_sheet(path: Path, name: str, limits: ReadLimits) -> bool:
    """Whether a workbook has a sheet of exactly this name, which may be empty; reads no sheet."""
    return name in _opened(path, limits).sheet_names


def read_sheet(path: Path, name: str, file: str, config: FileConfig, limits: ReadLimits) -> Source:
    """A source for one worksheet; `file` is its name in messages.

    Columns of numbers, dates or booleans keep their types; a column that mixes types becomes text. The header
    is the first row with half as many cells as the fullest one, so titles may precede it. Empty rows are
    skipped.
    """
    sheet = _sheet(_opened(path, limits), name, path)
    if next(_rows(sheet, 0), None) is None:
        raise DataError("the sheet is empty", file=file)
    first = _header(sheet) + 1 if config.header else 0
    head = [_text(cell) for cell in next(_rows(sheet, first - 1))[1]] if config.header else []
    kinds: list[set[type]] = [set() for _ in head]
    numbers = []
    for number, row in _rows(sheet, first):
        kinds.extend(set() for _ in range(len(row) - len(kinds)))
        for kind, cell in zip(kinds, row, strict=False):
            if cell != "":
                kind.add(type(cell))
        numbers.append(number)
    called = itertools.chain(config.names or head, itertools.repeat(None))
    # a column without a name and without values is a margin
    named = enumerate(zip(kinds, called, strict=False))
    places = [(name or str(at + 1), at) for at, (kind, name) in named if name or kind]

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        at = dict(reversed(places))
        rows = _rows(sheet, first)
        while chunk := [row for _, row in itertools.islice(rows, limits.json_batch)]:
            arrays = [_column([_cell(row, at[n]) for row in chunk], kinds[at[n]]) for n in wanted]
            yield pa.RecordBatch.from_arrays(arrays, names=list(wanted))

    source = Source(file, tuple(n for n, _ in places), batches, first + 1)
    lines = np.array(numbers, np.int64) + 1
    source.rows_of = lambda index: lines[index]
    source.folder = path.parent
    if first > 1:
        source.notes.append(f"{file}: row {first} names the columns; the rows above it are left out")
    return source


def _opened(path: Path, limits: ReadLimits) -> CalamineWorkbook:
    """`DataError` if the file is not a workbook, has a password, or unpacks to more than allowed."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise MissingDependencyError("python-calamine", "excel", f"reading {path.name}") from None
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            most = max(limits.growth * path.stat().st_size, limits.unpacked)
            if size > most:
                raise DataError(
                    f"unpacks to more than {most // 1_000_000:,} MB: save the sheet as CSV", file=str(path)
                )
        return CalamineWorkbook.from_path(str(path))
    except (CalamineError, zipfile.BadZipFile, OSError) as error:
        raise DataError(f"cannot be read as a workbook ({error})", file=str(path)) from None


def _sheet(book: CalamineWorkbook, name: str, path: Path) -> CalamineSheet:
    from python_calamine import CalamineError

    try:
        return book.get_sheet_by_name(name)
    except CalamineError as error:
        listed = ", ".join(map(repr, book.sheet_names))
        raise DataError(
            f"sheet {name!r} cannot be read ({error}); sheets: {listed}", file=str(path)
        ) from None


def _rows(sheet: CalamineSheet, first: int) -> Iterator[tuple[int, list[Any]]]:
    """(number from 0, cells) of the non-empty rows from `first` on."""
    for number, row in enumerate(sheet.iter_rows()):
        if number >= first and any(cell != "" for cell in row):
            yield number, row


def _header(sheet: CalamineSheet) -> int:
    """Number of the header row: the first with at least half as many cells as the fullest row."""
    rows = list(itertools.islice(_rows(sheet, 0), HEAD))
    filled = [sum(cell != "" for cell in row) for _, row in rows]
    return next(number for (number, _), n in zip(rows, filled, strict=True) if 2 * n >= max(filled))


def _cell(row: list[Any], at: int) -> Any:
    cell = row[at] if at < len(row) else ""
    return None if cell == "" else cell


def _column(values: list[Any], kinds: set[type]) -> pa.Array:
    """The values of one column, given the cell types it contains in the whole sheet."""
    if kinds and kinds <= {int, float}:
        return pa.array(values, pa.float64())
    if kinds and kinds <= {dt.date, dt.datetime}:
        return pa.array([_moment(v) for v in values], pa.timestamp("us"))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return texts(None if v is None else _text(v) for v in values)


def _moment(value: dt.date | None) -> dt.datetime | None:
    if value is None or isinstance(value, dt.datetime):
        return value
    return dt.datetime(value.year, value.month, value.day)


def _text(value: Any) -> str:
    """A cell as text: whole numbers without `.0`, dates and times in ISO 8601."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value).strip() if isinstance(value, str) else str(value)
