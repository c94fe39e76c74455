from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from crossaisle.artifact import sha256
from crossaisle.data import datasets
from crossaisle.data.datasets import (
    CATALOGUES,
    COMPLETE_JOURNEY,
    DEFAULT,
    find_catalogue,
    list_catalogues,
    load_catalogue,
    pull_catalogue,
)
from crossaisle.errors import ConfigError, DataError, FetchError


def test_unknown_names_and_missing_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"unknown data set 'instcart' \(did you mean 'instacart'\?\)"):
        find_catalogue("instcart")
    with pytest.raises(FetchError, match="give the folder as root"):
        pull_catalogue("instacart", tmp_path)
    monkeypatch.setenv("CROSSAISLE_SHARED", str(tmp_path))
    with pytest.raises(FetchError, match=str(tmp_path / "data")):
        load_catalogue("s3rec-toys")


@pytest.mark.parametrize("name", ["fashion", "instacart"])
def test_a_damaged_file_is_no_bug(name: str, tmp_path: Path) -> None:
    for needed in CATALOGUES[name].files:
        (tmp_path / needed).parent.mkdir(exist_ok=True)
        (tmp_path / needed).write_text("<html>half a page")
    with pytest.raises(DataError, match=r"its files cannot be read .* fetch them again"):
        load_catalogue(name, tmp_path)


def test_list_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "zh_groceries").mkdir()
    for name in ("GoodsOrder.csv", "GoodsTypes.csv"):
        (tmp_path / "zh_groceries" / name).touch()
    rows = list_catalogues(tmp_path)
    assert [row["name"] for row in rows] == list(CATALOGUES)
    assert [row["name"] for row in rows if row["present"]] == ["zh-groceries"]
    assert all(row["terms"] and row["origin"] and row["size"] for row in rows)


def test_completejourney_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe of the default data set on a few rows of the same form."""
    products = [
        (1, 9, "GROCERY", "Private", "SOFT DRINKS", "COLA", "12 OZ"),
        (2, 9, "FUEL", "National", "FUEL", "GAS", None),
        (3, 9, "FROZEN GROCERY", "National", None, None, None),
        (4, 9, "DRUG GM", "National", "CANDY", "BARS", None),
        (5, 9, "COUPON", "National", "COUPON", "STORE COUPON", None),
        (6, 9, "MISCELLANEOUS", "National", "BAGS", "BAGS", None),
    ]
    names = ["manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"]
    pl.DataFrame(products, schema=["product_id", *names], orient="row").write_parquet(
        tmp_path / "products.parquet"
    )
    lines = [(h, 10 * h, p, q, 2.0 * max(q, 1)) for h in range(1, 6) for p, q in ((1, 2), (2, 1), (3, 1))]
    lines += [(1, 10, 4, 1, 1.0), (1, 10, 99, 1, 1.0), (1, 11, 1, 0, 0.0)]
    names = ["household_id", "basket_id", "product_id", "quantity", "sales_value"]
    moments = pl.datetime(2017, 1, 1).alias("transaction_timestamp")
    events = pl.DataFrame(lines, schema=names, orient="row").with_columns(moments)
    events.write_parquet(tmp_path / "transactions.parquet")
    pl.DataFrame({"household_id": [1], "age": ["65+"]}).write_parquet(tmp_path / "demographics.parquet")
    monkeypatch.setattr(datasets, "package_files", lambda *_: tmp_path)
    tables = {name: sha256(tmp_path / name) for name in COMPLETE_JOURNEY.tables}
    small = replace(find_catalogue(DEFAULT), package=replace(COMPLETE_JOURNEY, tables=tables))
    done = load_catalogue(small)
    shop = done.dataset
    assert shop.item_ids.all == ("1",)
    assert shop.items["title"].to_list() == ["Cola, 12 oz"]
    assert shop.items["group"].to_list() == ["Cola"]
    assert shop.items["price"].to_list() == [2.0]
    assert shop.taxonomy.paths == ((("Grocery", "Soft Drinks", "Cola"),),)
    assert shop.taxonomy.level == 1
    assert (shop.n_users, len(shop.events)) == (5, 6)
    set_aside = done.report["tables"]
    assert set_aside["items"]["set_aside"] == {
        "no_category": 1,
        "excluded_category": 3,
        "fewer_than_5_users": 1,
    }
    assert set_aside["events"]["set_aside"] == {
        "excluded_item": 10,
        "unknown_item": 1,
        "fewer_than_5_users": 1,
    }
    (tmp_path / "products.parquet").write_bytes(b"PAR1")
    with pytest.raises(FetchError, match=r"products\.parquet: has changed since it was fetched: remove it"):
        load_catalogue(small)


@pytest.mark.parametrize(
    ("name", "items", "users", "events", "timed"),
    [
        ("instacart", 49_688, 131_209, 1_384_617, False),
        ("amazon14", 46_777, 72_803, 640_920, True),
        ("s3rec-beauty", 12_101, 22_363, 198_502, False),
        ("s3rec-sports", 18_357, 35_598, 296_337, False),
        ("s3rec-toys", 11_924, 19_412, 167_597, False),
        ("zh-groceries", 169, 9_830, 43_285, False),
    ],
)
def test_research_data(
    shared_data: Path, name: str, items: int, users: int, events: int, timed: bool
) -> None:
    shop = load_catalogue(name, shared_data).dataset
    assert (shop.n_items, shop.n_users, len(shop.events)) == (items, users, events)
    assert shop.has_time is timed
    assert shop.taxonomy.depth > 0


@pytest.mark.slow
def test_one_domain(shared_data: Path) -> None:
    shop = load_catalogue("amazon14", shared_data, domain="Beauty").dataset
    assert shop.taxonomy.names(0) == ("Beauty",)
    assert len(shop.events) < 640_920
    with pytest.raises(ConfigError, match=r"unknown domain 'Beuty' \(did you mean 'Beauty'\?\)"):
        load_catalogue("amazon14", shared_data, domain="Beuty")
    with pytest.raises(ConfigError, match="domain only applies to amazon14"):
        load_catalogue("s3rec-toys", shared_data, domain="Beauty")


def test_two_products_spelled_differently_are_said(shared_data: Path) -> None:
    done = load_catalogue("zh-groceries", shared_data)
    gone = done.rejected.filter(rule="unknown_item")
    assert gone["value"].unique().to_list() == ["保管产品"]
    assert done.dataset.items["title"][0] == "白饭"
