"""Words and numbers that say whether an item can be bought."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import import_dataset, import_frames
from crossaisle.data.ingest.values.stock import NO, YES, read_stock
from crossaisle.decode import build
from crossaisle.errors import DataError
from tests.data.ingest.shops import import_texts, warned


def flag(word: str) -> tuple[bool, bool]:
    known, unread = read_stock(pl.Series([word]))
    return bool(known[0]), bool(unread[0])


@pytest.mark.parametrize(
    "word",
    [
        *("out_of_stock", "out of stock", "Out-Of-Stock", "OUTOFSTOCK", "https://schema.org/OutOfStock"),
        *("discontinued", "sold out", "http://schema.org/SoldOut", "unavailable", "no", "nein", "False"),
        *("0", "0.0", "0.0000", "0,00", "-2", "-0", "Reserved", "schema.org/OutOfStock"),
    ],
)
def test_words_for_sold_out(word: str) -> None:
    assert flag(word) == (False, False)


@pytest.mark.parametrize(
    "word",
    [
        *("in_stock", "in stock", "InStock", "instock", "https://schema.org/InStock", "available"),
        *("preorder", "pre-order", "backorder", "onbackorder", "yes", "ja", "TRUE"),
        *("12", "12.0000", "0,5", "1.000", "+3", "10+", ">10", "> 5", "InStoreOnly", "schema.org/InStock"),
    ],
)
def test_words_for_in_stock(word: str) -> None:
    assert flag(word) == (True, False)


@given(st.sampled_from([*YES, *NO]), st.data())
def test_case_and_gaps_make_no_difference(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word)))
    gap = data.draw(st.sampled_from(["", "_", "-", " "]))
    assert flag((word[:place] + gap + word[place:]).upper()) == (word in YES, False)


@given(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 4)))
def test_a_quantity_above_zero_is_in_stock(quantity: float) -> None:
    assert flag(f"{quantity:.4f}") == (quantity > 0, False)


def test_typed_columns() -> None:
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    for values in ([True, False, None], [3, 0, None], [0.5, 0.0, None]):
        items = pl.DataFrame({"item_id": ["a", "b", "c"], "in_stock": values})
        assert import_frames(items, events).dataset.items["in_stock"].to_list() == [True, False, True]


def test_unknown_words_are_named(tmp_path: Path) -> None:
    done = import_texts(tmp_path, "item_id,in_stock\na,yes\nb,vielleicht\nc,no\n")
    assert done.dataset.items["in_stock"].to_list() == [True, True, False]
    assert done.rejected.filter(rule="unreadable_in_stock")["value"].to_list() == ["vielleicht"]
    assert warned(done, "column 'in_stock': unknown words ('vielleicht') count as in stock")


def test_a_column_of_unknown_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.csv, column 'in_stock': no value says .*'hier', 'fort'"):
        import_texts(tmp_path, "item_id,in_stock\na,hier\nb,fort\nc,hier\n")


WINDOW = """item_id,available_from,expires
a,,
b,2024-01-05,
c,2024-02-01,
d,,2024-01-05
e,2023-01-01,2024-01-07T12:00+0100
f,never,2025-01-01
"""


def test_what_is_not_yet_or_no_longer_available_is_sold_out(tmp_path: Path) -> None:
    events = "user_id,item_id,time\n1,a,2024-01-01\n2,a,2024-01-06\n"
    done = import_texts(tmp_path, WINDOW, events)
    assert done.dataset.items["in_stock"].to_list() == [True, True, False, False, True, True]
    rows = done.rejected.select("row", "rule", "value").rows()
    assert rows == [
        (7, "unreadable_available_from", "never"),
        (4, "not_yet_available", "2024-02-01 00:00"),
        (5, "expired", "2024-01-05 00:00"),
    ]
    german = "user_id,item_id,time\n1,a,01.01.2024\n2,a,08.01.2024\n"
    later = import_texts(tmp_path, WINDOW, german, time_unit="%d.%m.%Y")
    assert later.dataset.items["in_stock"].to_list() == [True, True, False, False, False, True]


def test_limits_of_a_shop_on_its_first_day(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,expires\na,Mug,2020-01-01\nb,Pan,2999-01-01\nc,Pot,\n")
    config = build(DataConfig, {"items": {"path": "items.csv"}}, "test", base=tmp_path)
    done = import_dataset(config)
    assert done.dataset.items["in_stock"].to_list() == [False, True, True]
    assert done.report["tables"]["items"]["repaired"] == {"expired": 1}
