"""Whole shops in the shapes that people have, through their settings: what arrives is what is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.config import load_config
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.errors import DataError
from tests.data.ingest.shops import warned


def run(folder: Path, settings: str, **files: str | bytes) -> Imported:
    for name, text in files.items():
        content = text.encode() if isinstance(text, str) else text
        (folder / name.replace("__", ".")).write_bytes(content)
    (folder / "shop.toml").write_text(settings, encoding="utf-8")
    return import_dataset(load_config(folder / "shop.toml").data)


EVENTS = "user_id,item_id,time\n1,a,2024-01-01\n2,b,2024-01-02\n"


def test_a_feed_with_stock_words_and_currency(tmp_path: Path) -> None:
    words = ("in_stock", "out_of_stock", "preorder", "backorder")
    rows = "".join(f"{'abcd'[n]}\tT\t{n}.00 USD\t{word}\tHome > D{n}\n" for n, word in enumerate(words))
    done = run(
        tmp_path,
        """
[data]
category_level = 1
[data.items]
path = "feed.tsv"
columns = { item_id = "id", price = "price", in_stock = "availability", categories = "type" }
[data.events]
path = "events.csv"
""",
        feed__tsv="id\ttitle\tprice\tavailability\ttype\n" + rows,
        events__csv=EVENTS,
    )
    assert done.dataset.items["in_stock"].to_list() == [True, False, True, True]
    assert done.dataset.items["price"].to_list() == [0.0, 1.0, 2.0, 3.0]
    assert done.report["tables"]["items"]["currencies"] == {"USD": 4}
    assert done.dataset.currency == "USD"
    assert done.report["categories"] == [1, 4]


def test_a_catalogue_with_store_views_and_stock_as_a_number(tmp_path: Path) -> None:
    rows = (
        'a,,"Root,Root/Bath,Root/Bath/Soaps",Soap,0.0000\na,german,,Seife,\n'
        'b,,"Root/Garden/Tools,Root/Sale",Rake,12.0000\n'
    )
    done = run(
        tmp_path,
        """
[data]
category_separator = "/"
path_separator = ","
category_roots = ["Root"]
[data.items]
path = "catalog.csv"
keep = { store_view_code = [""] }
columns = { item_id = "sku", title = "name", in_stock = "qty" }
[data.events]
path = "events.csv"
""",
        catalog__csv="sku,store_view_code,categories,name,qty\n" + rows,
        events__csv=EVENTS,
    )
    assert done.dataset.taxonomy.paths == ((("Bath", "Soaps"),), (("Garden", "Tools"), ("Sale",)))
    assert done.dataset.items["title"].to_list() == ["Soap", "Rake"]
    assert done.dataset.items["in_stock"].to_list() == [False, True]
    assert done.report["tables"]["items"]["set_aside"] == {"not_kept": 1}


ARTICLES = "Nr;Name;Preis;UVP;Lagernd\r\na;Größe;1.299,00 €;1.000;nein\r\nb;B;10,75 €;1.250;ja\r\n"
GERMAN = """
[data]
time_unit = "%d.%m.%Y %H:%M"
[data.items]
path = "artikel.csv"
{decimal}
columns = {{ item_id = "Nr", title = "Name", price = "{price}", in_stock = "Lagernd" }}
[data.events]
path = "verkauf.csv"
columns = {{ item_id = "Nr", user_id = "Kunde", time = "Datum", quantity = "Menge" }}
"""


@pytest.mark.parametrize(
    ("price", "decimal", "prices"),
    [("Preis", "", [1299.0, 10.75]), ("UVP", 'decimal = ","', [1000.0, 1250.0])],
)
def test_a_german_spreadsheet(tmp_path: Path, price: str, decimal: str, prices: list[float]) -> None:
    done = run(
        tmp_path,
        GERMAN.format(price=price, decimal=decimal),
        artikel__csv=ARTICLES.encode("cp1252"),
        verkauf__csv="Kunde;Nr;Datum;Menge\r\n1;a;31.12.2023 18:12;1,5\r\n2;b;01.01.2024 9:05;1\r\n",
    )
    assert done.dataset.items["price"].to_list() == prices
    assert done.dataset.items["title"][0] == "Größe"
    assert done.dataset.items["in_stock"].to_list() == [False, True]
    assert done.dataset.raw.events.quantity.tolist() == [1.5, 1.0]
    assert done.report["time"] == ["2023-12-31T18:12:00", "2024-01-01T09:05:00"]


RETAIL = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
    "1,22,MUG,6,12/1/2010 8:26,2.55,17850.0\nC2,22,MUG,-1,12/2/2010 8:26,2.55,17850.0\n"
    "3,POST,POSTAGE,1,12/2/2010 9:26,18,12583.0\n4,23,PAN,1,12/2/2010 9:26,18,\n"
    "4,22,MUG,1,12/2/2010 9:26,18,\n"
)


def test_online_retail_without_postage_and_with_anonymous_baskets(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
[data]
time_unit = "%m/%d/%Y %H:%M"
[data.items]
path = "retail.csv"
drop = { StockCode = ["POST", "M", "BANK*"] }
columns = { item_id = "StockCode", title = "Description", price = "UnitPrice" }
[data.events]
path = "retail.csv"
guests = "baskets"
drop = { StockCode = ["POST", "M", "BANK*"], InvoiceNo = ["C*"] }
columns = { item_id = "StockCode", user_id = "CustomerID", basket_id = "InvoiceNo", time = "InvoiceDate" }
""",
        retail__csv=RETAIL,
    )
    assert list(done.dataset.user_ids.all) == ["17850", "basket:4"]
    assert list(done.dataset.item_ids.all) == ["22", "23"]
    assert done.report["events"] == 3
    gone = done.rejected.filter(table="events", action="set aside").select("row", "rule", "value").rows()
    assert sorted(gone) == [(3, "dropped", "C2"), (4, "dropped", "POST")]


def test_recbole_files_under_their_typed_names(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
[data.items]
path = "ml.item"
columns = { item_id = "item_id:token", title = "movie_title:token_seq" }
[data.events]
path = "ml.inter"
columns = { item_id = "item_id:token", user_id = "user_id:token", time = "timestamp:float" }
""",
        ml__item="item_id:token\tmovie_title:token_seq\n7\tToy Story\n",
        ml__inter="user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t4\t881250949.0\n",
    )
    assert done.report["time"] == ["1997-12-04T15:55:49", "1997-12-04T15:55:49"]
    assert done.dataset.items["title"].to_list() == ["Toy Story"]


MOMENT = "2024-03-07T15:05:00"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("3/7/2024 3:05 PM", "%m/%d/%Y %I:%M %p"),
        ("3/7/2024 3:05 p.m.", "%m/%d/%Y %I:%M %p"),
        ("3/7/2024 3:05\u202fpm", "%m/%d/%Y %I:%M %p"),
        ("7.3.2024 15:5", "%d.%m.%Y %H:%M"),
        ("7.3.2024 15:05", "%-d.%-m.%Y %H:%M"),
        ("2024-03-07 03:05 PM", "%Y-%m-%d %I:%M %p"),
        ("2024-3-7 15:05", None),
        ("2024-03-07T16:05+0100", None),
        ("20240307150500", None),
        ("Thu, 07 Mar 2024 17:05:00 +0200", None),
    ],
)
def test_a_moment_however_it_is_written(tmp_path: Path, text: str, unit: str | None) -> None:
    settings = f"[data]\n{f'time_unit = {unit!r}' if unit else ''}\n[data.events]\npath = 'events.csv'\n"
    done = run(tmp_path, settings, events__csv=f'user_id,item_id,time\n1,a,"{text}"\n')
    assert done.report["time"] == [MOMENT, MOMENT]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2024-03-07 03:05 PM", "set time_unit to '%Y-%m-%d %I:%M %p'"),
        ("3/17/2024 3:05 p.m.", "set time_unit to '%m/%d/%Y %I:%M %p'"),
        ("2024-03-07 15:05:00 CET", "names of time zones cannot be read; write offsets"),
        ("2024-03-07 15:05 Europe/Berlin", "names of time zones cannot be read"),
    ],
)
def test_a_moment_that_is_not_guessed_names_the_setting(tmp_path: Path, text: str, says: str) -> None:
    settings = "[data.events]\npath = 'events.csv'\n"
    with pytest.raises(DataError) as caught:
        run(tmp_path, settings, events__csv=f'user_id,item_id,time\n1,a,"{text}"\n')
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)
    assert "column 'time'" in str(caught.value)


def test_one_category_above_all_others_is_told(tmp_path: Path) -> None:
    items = "item_id,categories\na,Home > Bath\nb,Home > Garden\n"
    settings = "[data.items]\npath = 'items.csv'\n[data.events]\npath = 'events.csv'\n"
    done = run(tmp_path, settings, items__csv=items, events__csv=EVENTS)
    assert warned(done, "only one category ('Home')")
    assert warned(done, "set category_level if you meant a lower level")
