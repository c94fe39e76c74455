"""Decimal signs, grouped thousands and currencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.values.numbers import NumberReader, currency_codes
from crossaisle.errors import ConfigError, DataError
from tests.data.ingest.shops import import_texts, warned

SIGNS = ("{} €", "€{}", "EUR {}", "{} USD", "$ {}", "{}", " {} ")


def read(*texts: str | None, decimal: str | None = None) -> tuple[list[float | None], list[str]]:
    """Numbers (None where unreadable or absent) and warnings."""
    reader, ledger = NumberReader("f.csv", "price", decimal, ()), Ledger()
    numbers, _ = reader.read(pa.array(texts, pa.string()))
    reader.note(ledger)
    return [None if np.isnan(x) else round(float(x), 6) for x in numbers], ledger.warnings


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.299,00 €", "1.250", "5"], [1299.0, 1250.0, 5.0]),
        (["12,5", "1.250"], [12.5, 1250.0]),
        (["1,299.00", "1,250"], [1299.0, 1250.0]),
        (["15.00 USD", "1,250.5 USD"], [15.0, 1250.5]),
        (["1 299,00", "1'250,5", "2\u202f500"], [1299.0, 1250.5, 2500.0]),
        (["1.234.567", "0,99"], [1234567.0, 0.99]),
        (["-5,50 €", "€ -5,5", "-€5,5"], [-5.5, -5.5, -5.5]),
        (["0.125", "1.250"], [0.125, 1.25]),
        (["12.990000", "1.250"], [12.99, 1.25]),
        (["1.5e3", "7"], [1500.0, 7.0]),
        (["₹1,25,000.50", "₹1,25,000", "1,250"], [125000.5, 125000.0, 1250.0]),
        (["12,- €", "CHF 12.–"], [12.0, 12.0]),
        (["US$ 9.99", "9.99 kr", "R$1.5"], [9.99, 9.99, 1.5]),
        (["9.99 Euro", "9.99 eur", "Usd 5", "Rs. 1,299.00"], [9.99, 9.99, 5.0, 1299.0]),
        (["１２．５０", "￥１，２００．００", "9.5"], [12.5, 1200.0, 9.5]),
        (["١٢٫٥٠", "١٬٢٣٤٫٥٠", "١٢"], [12.5, 1234.5, 12.0]),
        (["१२.५०", "১২"], [12.5, 12.0]),
    ],
)
def test_certain_numbers(texts: list[str], numbers: list[float]) -> None:
    assert read(*texts)[0] == numbers


@pytest.mark.parametrize(
    "text", ["free", "inf", "NaN", "1.2.3", "1,2,3", "12 34", "12 pcs", "1-2", "--1", "€"]
)
def test_what_is_no_number(text: str) -> None:
    assert read(text, "1.50")[0] == [None, 1.5]


def test_what_can_be_read_in_two_ways_is_said() -> None:
    numbers, warnings = read("1.250", "2.500")
    assert numbers == [1.25, 2.5]
    assert warnings == [
        "f.csv, column 'price': '1.250' is ambiguous and was read with a decimal point: "
        "set decimal to '.' or ','"
    ]
    assert read("1.250", "2.500", decimal=",") == ([1250.0, 2500.0], [])
    assert read("1.250", "2.500", decimal=".") == ([1.25, 2.5], [])
    assert read("1.250", "2", "2.50") == ([1.25, 2.0, 2.5], [])


@pytest.mark.parametrize(
    ("beside", "expected", "told"),
    [
        (["105,00 €", "10,75 €"], [1250.0, 1000.0], "decimal comma, like '105,00' in column 'paid'"),
        (["105.00", "10.75"], [1.25, 1.0], "decimal point, like '105.00' in column 'paid'"),
        (["105,00", "10.75"], [1.25, 1.0], "with a decimal point: set decimal"),  # no agreement
        (["12,13", "12,13,14"], [1.25, 1.0], "with a decimal point: set decimal"),  # lists, no numbers
        (["1.500", "2.000"], [1.25, 1.0], "with a decimal point: set decimal"),
        (["", "NULL"], [1.25, 1.0], "with a decimal point: set decimal"),
    ],
)
def test_a_doubtful_column_is_read_like_the_others_of_its_table(
    tmp_path: Path, beside: list[str], expected: list[float], told: str
) -> None:
    rows = [
        f"{n};{price};{paid}\n"
        for n, (price, paid) in enumerate(zip(["1.250", "1.000"], beside, strict=True))
    ]
    done = import_texts(
        tmp_path, items="item_id;price;paid\n" + "".join(rows), events="user_id,item_id\nu,0\n"
    )
    assert done.dataset.items["price"].to_list() == expected
    assert any(told in warning for warning in done.report["warnings"])


def test_a_doubtful_column_of_events_is_read_like_the_others(tmp_path: Path) -> None:
    events = "user_id;item_id;quantity;paid\nu;a;1.250;9,50\nv;a;2;0,5\n"
    done = import_texts(tmp_path, items="item_id\na\n", events=events)
    quantity = done.dataset.events.quantity
    assert quantity is not None
    assert quantity.tolist() == [1250.0, 2.0]


def test_a_guessed_comma_is_said() -> None:
    assert "read with a decimal comma" in read("1,50")[1][0]
    assert read("1,50", decimal=",")[1] == []


def test_a_column_of_both_signs_is_read_value_by_value() -> None:
    numbers, warnings = read("1,50", "2.50", "1.299,00", "1,299.00", "1.250")
    assert numbers == [1.5, 2.5, 1299.0, 1299.0, 1.25]
    assert "decimal points and commas both occur; numbers such as '1,50'" in warnings[0]
    assert "ambiguous ones with a decimal point" in warnings[0]
    assert read("1,50", "1.50", decimal=",")[0] == [1.5, None]


def test_another_sign_in_a_later_batch_is_read_and_said() -> None:
    reader, ledger = NumberReader("f.csv", "price", None, ()), Ledger()
    assert reader.read(pa.array(["1,50"]))[0].tolist() == [1.5]
    assert reader.read(pa.array(["2.50", "1.250"]))[0].tolist() == [2.5, 1250.0]
    reader.note(ledger)
    assert "numbers such as '2.50' are read by their own sign" in ledger.warnings[0]


def test_several_currencies_are_said() -> None:
    assert "several currencies (EUR, USD)" in read("1.50 EUR", "2.50 USD")[1][0]


def test_one_currency_written_in_several_ways_is_one() -> None:
    reader = NumberReader("f.csv", "price", None, ())
    values = pa.array(["5 €", "5 Euro", "EUR 5", "5 eur", "￡ 5", "£5", "5 kr", "5 kr."])
    reader.read(values)
    assert reader.currencies == {"EUR": 4, "GBP": 2, "kr": 2}
    assert reader.currency(values).to_list() == ["EUR"] * 4 + ["GBP"] * 2 + ["kr"] * 2
    said = currency_codes(pl.Series(["euro", "EURO", "€", "eur", "xyz", "much", "kr.", None]))
    assert said.to_list() == ["EUR"] * 4 + ["XYZ", None, "kr", None]


def test_currencies_of_rows_that_are_not_kept_are_none_of_the_shop(tmp_path: Path) -> None:
    items = "item_id,price\n,5 €\n,6 $\na,7\nb,8\n"
    done = import_texts(tmp_path, items=items, events="user_id,item_id\nu,a\n")
    assert "currency" not in done.dataset.items.columns


def test_a_price_and_a_column_that_name_two_currencies_are_told(tmp_path: Path) -> None:
    items = "item_id,price,currency\na,7 EUR,USD\nb,8,USD\nc,9 usd,USD\n"
    done = import_texts(tmp_path, items=items, events="user_id,item_id\nu,a\n")
    assert done.dataset.items["currency"].to_list() == ["EUR", "USD", "USD"]
    assert done.report["tables"]["items"]["repaired"]["two_currencies"] == 1


def test_a_comma_after_a_doubtful_batch_is_an_error() -> None:
    reader = NumberReader("f.csv", "price", None, ())
    reader.read(pa.array(["1.250"]))
    with pytest.raises(DataError, match=r"f\.csv, column 'price': '1\.250' .* '1,5' follows: set decimal"):
        reader.read(pa.array(["1,5"]))


@settings(deadline=None)  # says nothing about a machine that is busy
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20),
    st.sampled_from([",", "."]),
    st.sampled_from(["", " ", "'", "other"]),
    st.sampled_from(SIGNS),
)
def test_any_way_to_write_cents(cents: list[int], decimal: str, group: str, sign: str) -> None:
    other = "." if decimal == "," else ","
    group = other if group == "other" else group
    texts = [
        sign.format(f"{c / 100:,.2f}".replace(".", "@").replace(",", group).replace("@", decimal))
        for c in cents
    ]
    expected = [round(c / 100, 2) for c in cents]
    assert read(*texts)[0] == expected
    assert read(*texts, decimal=decimal)[0] == expected


def test_prices_and_quantities_of_a_german_shop(tmp_path: Path) -> None:
    items = "item_id;price\na;1.299,00 €\nb;1.250\nc;0,99\n"
    events = "user_id;item_id;quantity\n1;a;1,5\n1;b;2\n"
    done = import_texts(tmp_path, items, events)
    assert done.dataset.items["price"].round(2).to_list() == pytest.approx([1299.0, 1250.0, 0.99])
    assert done.dataset.events.quantity.tolist() == [1.5, 2.0]
    assert warned(done, "column 'price': read with a decimal comma")
    given = {"decimal": ","}
    quiet = import_texts(tmp_path, items, events, items_are=given, events_are=given)
    assert not warned(quiet, "decimal")
    with pytest.raises(ConfigError, match="decimal"):
        import_texts(tmp_path, items, items_are={"decimal": ";"})
