"""Known exports: synthetic files of that shape give settings, and these a data set with the right users and items."""

# ruff: noqa: E501  (files as they come have long lines)

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crossaisle.config import load_config
from crossaisle.data.exports.files import Draft
from crossaisle.data.exports.known import EXPORTS, draft_of, draft_of_folder
from crossaisle.data.exports.toml import to_toml
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.errors import ConfigError, DataError

Rows = Sequence[Sequence[Any]]


def table(*rows: Sequence[Any], sep: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator="\n").writerows(rows)
    return text.getvalue()


def json_lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


SHOPIFY = {
    "products_export_1.csv": table(
        ["Handle", "Title", "Body (HTML)", "Vendor", "Type", "Variant SKU", "Variant Price",
         "Variant Inventory Qty", "Image Src", "Status"],
        ["mug", "Mug", "<p>Warm &amp; blue</p>", "Field", "Cups", "M-S", "9.50", "14", "https://x.example/1.jpg", "active"],
        ["mug", "", "", "", "", "M-L", "11.50", "-2", "", ""],
        ["mug", "", "", "", "", "", "", "", "https://x.example/2.jpg", ""],
        ["pan", "Pan", "", "Field", "Pans", "P", "30", "0", "", "active"],
        ["old", "Old", "", "Field", "Pans", "O", "30", "5", "", "archived"],
    ),
    "orders_export_1.csv": table(
        ["Name", "Email", "Financial Status", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem sku", "Cancelled at"],
        ["#1", "ann@x.example", "paid", "2024-09-01 18:12:00 +0200", 2, "Mug - S", "M-S", ""],
        ["#1", "", "", "2024-09-01 18:12:00 +0200", 1, "Pan", "P", ""],
        ["#2", "bob@x.example", "refunded", "2024-09-02 18:12:00 +0200", 1, "Pan", "P", ""],
        ["#3", "bob@x.example", "paid", "2024-09-03 18:12:00 +0200", 1, "Pan", "P", "2024-09-04 10:00:00 +0200"],
        ["#4", "", "paid", "2024-09-05 18:12:00 +0200", 1, "Mug - L", "M-L", ""],
    ),
}  # fmt: skip
WOO = {
    "wc-products.csv": table(
        ["ID", "Type", "SKU", "Name", "Published", "Description", "In stock?", "Regular price", "Categories", "Images"],
        [7, "simple", "m", "Mug", 1, "<b>Blue</b>", 1, "9.5", "Home > Cups, Sale", ""],
        [8, "simple", "p", "Pan", 1, "", 0, "30", "Home > Pans", ""],
        [9, "simple", "d", "Draft", 0, "", 1, "30", "Home > Pans", ""],
        [70, "variation", "m-l", "Mug - Large", 1, "", 1, "11.5", "", ""],
    ),
    "orders.json": json.dumps(
        [
            {"id": 1, "status": "completed", "date_created_gmt": "2024-09-01T10:00:00", "billing": {"email": "ann@x.example"},
             "line_items": [{"product_id": 7, "quantity": 2, "price": 9.5}, {"product_id": 8, "quantity": 1, "price": 30}]},
            {"id": 2, "status": "cancelled", "date_created_gmt": "2024-09-01T10:00:00", "billing": {"email": "bob@x.example"},
             "line_items": [{"product_id": 7, "quantity": 1, "price": 9.5}]},
        ]
    ),
}  # fmt: skip
MAGENTO = {
    "catalog_product.csv": table(
        ["sku", "store_view_code", "categories", "name", "description", "price", "qty", "is_in_stock"],
        ["m", "", "Default Category,Default Category/Cups,Default Category/Sale", "Mug", "<p>Blue</p>", "9.5000", "0.0000", 0],
        ["m", "german", "", "Tasse", "", "", "", ""],
        ["p", "", "Default Category/Pans", "Pan", "", "30.0000", "12.0000", 1],
    ),
    "sales.csv": table(
        ["customer_email", "sku", "created_at", "qty_ordered"],
        ["ann@x.example", "m", "2024-09-01 18:12:00", "1.0000"],
        ["ann@x.example", "p", "2024-09-02 18:12:00", "1.0000"],
    ),
}  # fmt: skip
GOOGLE = {
    "feed.tsv": table(
        ["id", "title", "link", "image link", "price", "availability", "google_product_category", "brand", "color"],
        ["m", "Mug", "https://x.example/m", "https://x.example/m.jpg", "9.50 USD", "out_of_stock", "Home & Garden > Cups", "Field", "blue"],
        ["p", "Pan", "https://x.example/p", "https://x.example/p.jpg", "30.00 USD", "preorder", "Home & Garden > Pans", "Field", ""],
        sep="\t",
    ),
    "orders.csv": table(["customer", "product", "ordered_at"], ["ann", "m", "2024-09-01T10:00:00Z"], ["ann", "p", "2024-09-02T10:00:00Z"]),
}  # fmt: skip
GA4 = {
    "ga4.jsonl": json_lines(
        {"event_name": "purchase", "event_timestamp": "1725214320000000", "user_pseudo_id": "ann",
         "ecommerce": {"transaction_id": "T1"},
         "items": [{"item_id": "m", "item_name": "Mug", "item_category": "Home", "item_category2": "Cups", "price": 9.5, "quantity": 2},
                   {"item_id": "p", "item_name": "Pan", "item_category": "Home", "item_category2": "Pans", "price": 30, "quantity": 1}]},
        {"event_name": "page_view", "event_timestamp": "1725214330000000", "user_pseudo_id": "ann", "items": []},
        {"event_name": "remove_from_cart", "event_timestamp": "1725214340000000", "user_pseudo_id": "bob", "items": [{"item_id": "m"}]},
    )
}  # fmt: skip
RETAILROCKET = {
    "events.csv": table(
        ["timestamp", "visitorid", "event", "itemid", "transactionid"],
        [1433221332117, 1, "view", 7, ""],
        [1433221332119, 1, "transaction", 8, 4000],
    ),
    "item_properties_part1.csv": table(
        ["timestamp", "itemid", "property", "value"],
        [1435460400000, 7, "categoryid", 338],
        [1435460400000, 7, "available", 1],
    ),
    "item_properties_part2.csv": table(
        ["timestamp", "itemid", "property", "value"],
        [1435460400000, 8, "categoryid", 213],
        [1435460500000, 7, "categoryid", 213],
    ),
    "category_tree.csv": table(["categoryid", "parentid"], [338, 213], [213, ""]),
}
INSTACART = {
    "orders.csv": table(["order_id", "user_id", "eval_set", "order_number"], [1, 5, "prior", 2], [2, 5, "prior", 1]),
    "order_products__prior.csv": table(["order_id", "product_id", "add_to_cart_order", "reordered"], [1, 7, 1, 0]),
    "order_products__train.csv": table(["order_id", "product_id", "add_to_cart_order", "reordered"], [2, 8, 1, 0]),
    "products.csv": table(["product_id", "product_name", "aisle_id", "department_id"], [7, "Milk", 1, 2], [8, "Soap", 3, 4]),
    "aisles.csv": table(["aisle_id", "aisle"], [1, "dairy"], [3, "bath"]),
    "departments.csv": table(["department_id", "department"], [2, "food"], [4, "care"]),
}  # fmt: skip
OLIST = {
    "olist_orders_dataset.csv": table(
        ["order_id", "customer_id", "order_status", "order_purchase_timestamp"],
        ["o1", "c1", "delivered", "2017-10-02 10:56:33"],
        ["o2", "c2", "delivered", "2017-10-03 10:56:33"],
        ["o3", "c2", "canceled", "2017-10-04 10:56:33"],
    ),
    "olist_order_items_dataset.csv": table(
        ["order_id", "order_item_id", "product_id", "price"], ["o1", 1, "m", 9.5], ["o2", 1, "p", 30], ["o3", 1, "m", 9.5]
    ),
    "olist_customers_dataset.csv": table(["customer_id", "customer_unique_id"], ["c1", "ann"], ["c2", "ann"]),
    "olist_products_dataset.csv": table(["product_id", "product_category_name"], ["m", "copos"], ["p", "panelas"]),
    "product_category_name_translation.csv": "\ufeff" + table(
        ["product_category_name", "product_category_name_english"], ["copos", "cups"], ["panelas", "pans"]
    ),
}  # fmt: skip
MOVIELENS = {
    "ratings.csv": table(["userId", "movieId", "rating", "timestamp"], [1, 7, 4.0, 964982703], [1, 8, 3.0, 964982704]),
    "movies.csv": table(["movieId", "title", "genres"], [7, "Toy (1995)", "Comedy|Children"], [8, "B (1995)", "(no genres listed)"]),
    "tags.csv": table(["userId", "movieId", "tag", "timestamp"], [2, 7, "funny", 1], [3, 7, "toys", 1]),
    "links.csv": table(["movieId", "imdbId", "tmdbId"], [7, 1, 2]),
}  # fmt: skip
MOVIELENS_1M = {
    "ratings.dat": "1::7::5::978300760\n1::8::3::978302109\n",
    "movies.dat": "7::Toy (1995)::Comedy|Children\n8::B (1995)::Drama\n",
    "users.dat": "1::F::1::10::48067\n",
}
RECBOLE = {
    "shop.inter": table(["user_id:token", "item_id:token", "rating:float", "timestamp:float"], [1, 7, 4, 964982703.0], [1, 8, 4, 964982704.0], sep="\t"),
    "shop.item": table(["item_id:token", "movie_title:token_seq", "class:token_seq"], [7, "Toy", "Comedy Children"], [8, "B", "Drama"], sep="\t"),
}  # fmt: skip
OTTO = {
    "train.jsonl": json_lines({"session": 1, "events": [{"aid": 7, "ts": 1661724000278, "type": "clicks"}, {"aid": 8, "ts": 1661724000378, "type": "orders"}]})
}  # fmt: skip
AMAZON = {
    "Home.jsonl": json_lines({"user_id": "ann", "asin": "v", "parent_asin": "m", "rating": 5.0, "timestamp": 1588687728923, "title": "Nice"},
                             {"user_id": "ann", "asin": "p", "parent_asin": "p", "rating": 4.0, "timestamp": 1588687729923, "title": "Ok"}),
    "meta_Home.jsonl": json_lines({"parent_asin": "m", "title": "Mug", "main_category": "Home", "store": "Field", "categories": ["Home", "Kitchen", "Cups"], "price": 9.5},
                                  {"parent_asin": "p", "title": "Pan", "main_category": "Home", "store": "Field", "categories": ["Home", "Kitchen"], "price": None}),
}  # fmt: skip
AMAZON_2014 = {
    "reviews.json": json_lines({"reviewerID": "ann", "asin": "m", "overall": 5.0, "unixReviewTime": 1382659200},
                               {"reviewerID": "ann", "asin": "p", "overall": 4.0, "unixReviewTime": 1382659300}),
    "meta.json": "\n".join(str(r) for r in ({"asin": "m", "title": "Mug", "categories": [["Home", "Cups"], ["Sale"]], "price": 9.5}, {"asin": "p", "title": "It's", "categories": [["Home"]]})),
}  # fmt: skip


def cups(*more: str) -> tuple[tuple[str, ...], ...]:
    return (("Cups",), *((m,) for m in more))


def stock(done: Imported) -> list[bool]:
    return done.dataset.items["in_stock"].to_list()


CASES: list[tuple[str, dict[str, str], set[tuple[str, str]], Any, Callable[[Imported], bool]]] = [
    (
        "shopify", SHOPIFY, {("ann@x.example", "M-S"), ("ann@x.example", "P"), ("basket:#4", "M-L")},
        (cups(), cups(), (("Pans",),)),
        lambda d: stock(d) == [True, False, False] and d.dataset.items["title"].to_list() == ["Mug", "Mug", "Pan"],
    ),
    ("woocommerce", WOO, {("ann@x.example", "7"), ("ann@x.example", "8")}, ((("Home", "Cups"), ("Sale",)), (("Home", "Pans"),)),
     lambda d: stock(d) == [True, False]),
    ("magento", MAGENTO, {("ann@x.example", "m"), ("ann@x.example", "p")}, (cups("Sale"), (("Pans",),)),
     lambda d: stock(d) == [False, True] and d.dataset.items["description"][0] == "Blue"),
    ("google-merchant", GOOGLE, {("ann", "m"), ("ann", "p")}, ((("Home & Garden", "Cups"),), (("Home & Garden", "Pans"),)),
     lambda d: stock(d) == [False, True] and d.dataset.taxonomy.level == 1 and d.report["tables"]["items"]["currencies"] == {"USD": 2}),
    ("ga4", GA4, {("ann", "m"), ("ann", "p")}, ((("Home", "Cups"),), (("Home", "Pans"),)), lambda d: d.dataset.kinds == ("purchase",)),
    ("retailrocket", RETAILROCKET, {("1", "7"), ("1", "8")}, ((("213", "338"),), (("213",),)), lambda d: d.dataset.kinds == ("view", "transaction")),
    ("instacart", INSTACART, {("5", "7"), ("5", "8")}, ((("food", "dairy"),), (("care", "bath"),)), lambda d: d.dataset.raw.events.item.tolist() == [1, 0]),
    ("olist", OLIST, {("ann", "m"), ("ann", "p")}, ((("cups",),), (("pans",),)), lambda d: d.dataset.has_time),
    ("movielens", MOVIELENS, {("1", "7"), ("1", "8")}, ((("Comedy",), ("Children",)), ()), lambda d: "funny, toys" in d.dataset.items["attributes"][0]),
    ("movielens", MOVIELENS_1M, {("1", "7"), ("1", "8")}, ((("Comedy",), ("Children",)), (("Drama",),)), lambda d: d.dataset.has_time),
    ("recbole", RECBOLE, {("1", "7"), ("1", "8")}, ((("Comedy",), ("Children",)), (("Drama",),)), lambda d: d.dataset.has_time),
    ("otto", OTTO, {("1", "7"), ("1", "8")}, ((), ()), lambda d: d.dataset.kinds == ("clicks", "orders")),
    ("amazon-reviews", AMAZON, {("ann", "m"), ("ann", "p")}, ((("Home", "Kitchen", "Cups"),), (("Home", "Kitchen"),)), lambda d: d.dataset.has_time),
    ("amazon-reviews", AMAZON_2014, {("ann", "m"), ("ann", "p")}, ((("Home", "Cups"), ("Sale",)), (("Home",),)), lambda d: d.dataset.items["title"][1] == "It's"),
]  # fmt: skip


def write(folder: Path, files: dict[str, str]) -> Path:
    exports = folder / "exports"
    exports.mkdir()
    for name, text in files.items():
        (exports / name).write_text(text, encoding="utf-8")
    return exports


def imported(draft: Draft, folder: Path) -> Imported:
    path = folder / "shop.toml"
    path.write_text(to_toml(draft, folder), encoding="utf-8")
    return import_dataset(load_config(path).data)


def pairs(done: Imported) -> set[tuple[str, str]]:
    shop = done.dataset.raw
    where = zip(shop.events.user, shop.events.item, strict=True)
    return {(shop.user_ids.all[u], shop.item_ids.all[i]) for u, i in where}


@pytest.mark.parametrize(("name", "files", "expected", "paths", "check"), CASES, ids=[c[0] for c in CASES])
def test_a_known_export(
    tmp_path: Path, name: str, files: dict[str, str], expected: Any, paths: Any, check: Any
) -> None:
    folder = write(tmp_path, files)
    draft = draft_of(name, sorted(folder.iterdir()))
    done = imported(draft, tmp_path)
    assert pairs(done) == expected
    assert done.dataset.taxonomy.paths == paths
    assert check(done), done.report
    text = (tmp_path / "shop.toml").read_text(encoding="utf-8")
    assert '"exports/' in text
    assert f'"{tmp_path}' not in text


FOLDERS = [c[:3] for c in CASES if c[1] is not MOVIELENS_1M]
"""Files without a known ending are not looked for in folders."""


@pytest.mark.parametrize(("name", "files", "expected"), FOLDERS, ids=[c[0] for c in FOLDERS])
def test_a_folder_is_recognised(tmp_path: Path, name: str, files: dict[str, str], expected: Any) -> None:
    draft = draft_of_folder(write(tmp_path, files))
    assert f"files of {name}" in draft.remarks[0]
    assert pairs(imported(draft, tmp_path)) == expected


def test_a_woocommerce_export_in_the_language_of_the_shop(tmp_path: Path) -> None:
    header = [
        "ID",
        "Typ",
        "Artikelnummer",
        "Name",
        "Veröffentlicht",
        "Vorrätig?",
        "Regulärer Preis",
        "Kategorien",
    ]
    products = table(
        header,
        [7, "simple", "m", "Becher", 1, 1, "9,50", "Küche > Becher, Angebote"],
        [8, "simple", "p", "Pfanne", 1, 0, "30,00", "Küche > Pfannen"],
    )
    files = {"produkte.csv": products, "orders.json": WOO["orders.json"]}
    exports = write(tmp_path, files)
    done = imported(draft_of("woocommerce", sorted(exports.iterdir())), tmp_path)
    assert pairs(done) == {("ann@x.example", "7"), ("ann@x.example", "8")}
    assert done.dataset.taxonomy.paths == ((("Küche", "Becher"), ("Angebote",)), (("Küche", "Pfannen"),))
    assert done.dataset.items["price"].to_list() == [9.5, 30.0]
    assert stock(done) == [True, False]


def test_the_category_level_is_the_first_with_several(tmp_path: Path) -> None:
    rows = [
        [f"p{n}", f"Item {n}", f"Home & Garden > Kitchen > {kind}"]
        for n, kind in enumerate(["Cups", "Pans"] * 3)
    ]
    files = {"items.csv": table(["item_id", "title", "categories"], *rows)}
    assert draft_of_folder(write(tmp_path, files)).data["category_level"] == 2


def test_every_export_has_a_case_and_a_sentence() -> None:
    assert set(EXPORTS) == {case[0] for case in CASES}
    assert all(export.__doc__ for export in EXPORTS.values())


def test_other_files_and_names_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"some.csv": "a,b\n1,2\n"})
    with pytest.raises(DataError, match=r"none of these files is a shopify export \(.*some\.csv: a, b\)"):
        draft_of("shopify", [folder / "some.csv"])
    with pytest.raises(ConfigError, match=r"unknown export 'shopfy' \(did you mean 'shopify'\?\)"):
        draft_of("shopfy", [folder])
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        draft_of("otto", [folder / "none.csv"])
