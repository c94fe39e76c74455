"""Sheets of workbooks as tables."""

from __future__ import annotations

import datetime as dt
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from crossaisle.config import DataConfig
from crossaisle.data.exports.files import Files
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.sources import open_files
from crossaisle.decode import build
from crossaisle.errors import DataError, MissingDependencyError
from crossaisle.table_config import FileConfig

PRODUCTS = [
    ["sku", "title", "categories", "price"],
    [501, "Teapot", "Kitchen > Tea", 1.125],
    [502, "Cup", "Kitchen > Cups", 12],
    [503, "Lamp", "Light", None],
]
ORDERS = [
    ["sku", "customer", "date"],
    [501, "anna", dt.datetime(2024, 1, 2, 9, 30)],
    [502, "anna", dt.datetime(2024, 1, 3)],
    [503, "ben", dt.datetime(2024, 1, 4)],
    [999, "ben", dt.datetime(2024, 1, 5)],
]
Rows = Sequence[Sequence[Any]]


def written(path: Path, **sheets: Rows) -> Path:
    """A workbook of some sheets; a name that ends in `_hidden` hides its sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        if name.endswith("_hidden"):
            sheet.sheet_state = "hidden"
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def table(path: Path, **settings: Any) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    source = open_files(path, FileConfig(**settings))
    rows = [row for batch in source.batches(source.names) for row in batch.to_pylist()]
    return source.names, rows


def shop(path: Path, items: str, events: str) -> Imported:
    columns = {"item_id": "sku"}
    tables = {
        "items": {"path": items, "columns": columns},
        "events": {"path": events, "columns": columns | {"user_id": "customer", "time": "date"}},
    }
    return import_dataset(build(DataConfig, tables, "test", base=path))


def test_sheets_of_one_workbook_are_a_shop(tmp_path: Path) -> None:
    written(tmp_path / "shop.xlsx", Products=PRODUCTS, Orders=ORDERS)
    done = shop(tmp_path, "shop.xlsx/Products", "shop.xlsx/Orders")
    assert done.dataset.item_ids.all == ("501", "502", "503")
    assert done.dataset.items["title"].to_list() == ["Teapot", "Cup", "Lamp"]
    assert done.dataset.items["price"].to_list() == [1.125, 12.0, None]
    assert done.rejected.select("row", "rule").rows() == [(5, "unknown_item")]


def test_columns_keep_their_types_and_mixed_ones_are_text(tmp_path: Path) -> None:
    rows = [
        ["number", "mixed", "day", "flag", "text"],
        [1.5, 7, dt.date(2024, 1, 2), True, " 00501 "],
        [2, "A1", dt.datetime(2024, 1, 2, 3), False, None],
        [None, 7.25, None, None, "x"],
    ]
    _, found = table(written(tmp_path / "a.xlsx", A=rows))
    assert found == [
        {"number": 1.5, "mixed": "7", "day": dt.datetime(2024, 1, 2), "flag": True, "text": "00501"},
        {"number": 2.0, "mixed": "A1", "day": dt.datetime(2024, 1, 2, 3), "flag": False, "text": None},
        {"number": None, "mixed": "7.25", "day": None, "flag": None, "text": "x"},
    ]


def test_titles_stand_above_the_header_and_empty_rows_are_skipped(tmp_path: Path) -> None:
    rows = [["Stock list"], [], *PRODUCTS[:2], [None] * 4, *PRODUCTS[2:]]
    source = open_files(written(tmp_path / "a.xlsx", A=rows), FileConfig())
    assert source.names == ("sku", "title", "categories", "price")
    assert len(next(source.batches(["sku"]))) == 3
    assert source.file_rows(np.array([0, 1])).tolist() == [4, 6]
    assert "row 3 names the columns" in source.notes[0]


def test_no_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", A=PRODUCTS[1:])
    assert table(path, header=False)[0] == ("1", "2", "3", "4")
    assert table(path, header=False, names=("a", "b"))[0] == ("a", "b", "3", "4")


def test_sheets_of_the_same_columns_are_one_table(tmp_path: Path) -> None:
    written(tmp_path / "a.xlsx", Y2023=ORDERS[:3], Y2024=[ORDERS[0], *ORDERS[3:]], Empty=[])
    assert len(table(tmp_path / "a.xlsx")[1]) == 4
    assert len(table(tmp_path / "a.xlsx" / "Y2024")[1]) == 2
    assert len(table(tmp_path / "a.xlsx" / "Y*")[1]) == 4


def test_sheets_of_other_columns_have_to_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", Products=PRODUCTS, Orders=ORDERS)
    with pytest.raises(DataError, match=r"name the table's, one of .*a\.xlsx/Products', .*a\.xlsx/Orders'"):
        table(path)


def test_hidden_sheets_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", Products=PRODUCTS, old_hidden=ORDERS)
    source = open_files(path, FileConfig())
    assert source.names == ("sku", "title", "categories", "price")
    assert "hidden sheets (1): old_hidden" in source.notes[0]
    assert table(path / "old_hidden")[0] == ("sku", "customer", "date")


def test_the_sheets_of_a_folder_are_looked_at(tmp_path: Path) -> None:
    written(tmp_path / "a.xlsx", Products=PRODUCTS, Orders=ORDERS)
    (tmp_path / "~$a.xlsx").write_bytes(b"a lock of Excel")
    files = Files([tmp_path])
    assert [one.path for one in files.left] == [f"{tmp_path}/a.xlsx/Products", f"{tmp_path}/a.xlsx/Orders"]
    assert not files.unread


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"no workbook", "cannot be read as a workbook"),
        ("a.xls", b"PK\x03\x04", "cannot be read as a workbook"),
        ("a.ods", b"", "the file is empty"),
    ],
)
def test_what_is_no_workbook(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        table(tmp_path / name)


def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", Products=PRODUCTS)
    with pytest.raises(DataError, match=r"no sheet 'Orders' \(Products\)"):
        table(path / "Orders")
    empty = written(tmp_path / "b.xlsx", Empty=[])
    with pytest.raises(DataError, match=r"b\.xlsx/Empty: the sheet is empty"):
        table(empty / "Empty")
    with pytest.raises(DataError, match="no sheet with anything in it"):
        table(empty)


def test_a_workbook_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", A=PRODUCTS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros", bytes(3_000_000))
    with pytest.raises(DataError, match="unpacks to more than 1 MB"):
        open_files(path, FileConfig(), ReadLimits(growth=1, unpacked=1_000_000))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.xlsx", A=PRODUCTS)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(MissingDependencyError, match=r"reading a\.xlsx needs python-calamine"):
        table(path)
    files = Files([tmp_path])
    assert not files.left
    assert "python-calamine" in files.unread[0]
