"""Texts of items: HTML taken out, category cells read as paths, currencies kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from crossaisle.data.ingest.importer import Imported, import_frames
from crossaisle.data.text.markup import without_markup
from crossaisle.errors import DataError
from tests.data.ingest.shops import import_texts, warned

EVENTS = "user_id,item_id\n1,a\n"
Paths = list[tuple[tuple[str, ...], ...]]


def paths_of(cells: list[Any], **settings: Any) -> tuple[Paths, Imported]:
    items = pl.DataFrame({"item_id": [str(n) for n in range(len(cells))], "categories": cells})
    done = import_frames(items, pl.DataFrame({"user_id": ["1"], "item_id": ["0"]}), **settings)
    return list(done.dataset.taxonomy.paths), done


def test_two_paths_in_one_cell() -> None:
    root = "Default Category"
    cell = f"{root},{root}/Kitchen,{root}/Kitchen/Mugs,{root}/Sale"
    settings = {"category_separator": "/", "path_separator": ",", "category_roots": [root]}
    paths, done = paths_of([cell, f"{root}/Bath", root], **settings)
    assert paths == [(("Kitchen", "Mugs"), ("Sale",)), (("Bath",),), ()]
    assert done.rejected.is_empty()


@pytest.mark.parametrize("sign", [",", "|", ";"])
def test_several_paths_in_a_cell_without_a_separator_are_told(sign: str) -> None:
    cells = [f"Shop{sign}Shop/Kitchen{sign}Shop/Sale", "Shop/Bath"]
    _, done = paths_of(cells, category_separator="/")
    assert warned(done, f"separated by {sign!r}, but were read as one path: set path_separator")
    commas = ["Food, Beverages & Tobacco > Beverages", "Food, Beverages & Tobacco > Food Items", "Cups, Mugs"]
    assert not warned(paths_of(commas)[1], "path_separator")


HOME = [["Home & Living", d, t] for d, t in (("Kitchen", "Mugs"), ("Kitchen", "Pans"), ("Bath", "Mats"))]


@pytest.mark.parametrize("form", [json.dumps, str, None])
def test_a_list_of_names_is_one_path(form: Any) -> None:
    cells = [form(names) for names in HOME] if form else HOME
    paths, done = paths_of(cells)
    assert paths == [(tuple(names),) for names in HOME]
    assert warned(done, "were read as one path each, root first; set category_lists to 'paths'")
    several, done = paths_of(cells, category_lists="paths")
    assert several[0] == (("Home & Living",), ("Kitchen",), ("Mugs",))
    assert not warned(done, "lists such as")


@pytest.mark.parametrize("form", [json.dumps, str, None])
def test_a_list_of_lists_holds_a_path_each(form: Any) -> None:
    cells = [[names, ["Sale"]] for names in HOME]
    paths, _ = paths_of([form(cell) for cell in cells] if form else cells)
    assert paths == [(tuple(names), ("Sale",)) for names in HOME]


def test_tags_are_several_categories() -> None:
    tags = [["sale", "new"], ["new"], ["blue", "sale", "new"], ["new", "sale"]]
    paths, done = paths_of([json.dumps(cell) for cell in tags])
    assert paths[0] == (("sale",), ("new",))
    assert warned(done, "were read as several categories each; set category_lists to 'path'")
    assert paths_of([json.dumps(cell) for cell in tags], category_lists="path")[0][0] == (("sale", "new"),)


def test_lists_of_paths_are_several() -> None:
    paths, done = paths_of([["A > B", "C"], ["A"], None])
    assert paths == [(("A", "B"), ("C",)), (("A",),), ()]
    assert not warned(done, "lists such as")


def test_entities_are_read_before_separators() -> None:
    paths, _ = paths_of(["Home &amp; Living &gt; Kitchen", "<b>Home</b> &amp; Living &gt; Bath"])
    assert paths == [(("Home & Living", "Kitchen"),), (("Home & Living", "Bath"),)]


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("Dep{}/Sub{}", "if '/' separates levels, set category_separator"),
        ("Own {}", "is this the right column"),
    ],
)
def test_a_category_for_each_item_is_told(cell: str, hint: str) -> None:
    _, done = paths_of([cell.format(n, n) for n in range(25)])
    assert warned(done, "nearly every item has its own; " + hint)
    _, done = paths_of([cell.format(n % 12, n % 12) for n in range(25)])
    assert not warned(done, "nearly every item")


TREE = "categoryid,parentid,label\n338,213,Mugs\n213,1,Kitchen\n1,,Home\n9,9,Odd\n7,8,A\n8,7,B\n"


def test_a_table_of_categories_gives_the_paths(tmp_path: Path) -> None:
    (tmp_path / "tree.csv").write_text(TREE)
    tree = {"path": "tree.csv", "id": "categoryid", "parent": "parentid", "name": "label"}
    items = "item_id,categories\na,338.0\nb,213\nc,777\nd,\ne,9\nf,7\n"
    done = import_texts(tmp_path, items, EVENTS, category_tree=tree)
    home = ("Home", "Kitchen", "Mugs")
    expected = ((home,), (home[:2],), (("777",),), (), (("Odd",),), (("B", "A"),))
    assert done.dataset.taxonomy.paths == expected
    assert warned(done, "2 categories are their own ancestors, such as '7'")
    with pytest.raises(DataError, match=r"tree\.csv, column 'parent': category_tree: no such column"):
        import_texts(tmp_path, items, EVENTS, category_tree={"path": "tree.csv", "id": "categoryid"})


PLAIN = "A&B, R&D; 3 < 5 > 2, List<String>, <3, a&copy=1"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>Our <strong>mug</strong>.&nbsp;Fine.</p><ul><li>Blue</li></ul>", "Our mug. Fine. Blue"),
        ("bo<b>l</b>d<br/>next", "bold next"),
        ("&lt;div&gt;Twice &amp;amp; more&lt;/div&gt;", "Twice & more"),
        ("<style>p { x: 1 }</style><script>alert('<b>')</script>Text<!-- no -->", "Text"),
        (PLAIN, PLAIN),
        ("<div\nclass='a'>x</DIV>", "x"),
        ("<table><tbody><tr><td>a</td><td>b</td></tr></tbody></table>", "a b"),
    ],
)  # fmt: skip
def test_tags_and_entities_are_no_words(text: str, plain: str) -> None:
    assert " ".join(without_markup(text).split()) == plain


def test_markup_is_taken_out_and_counted(tmp_path: Path) -> None:
    items = (
        "item_id,title,description,brand\n"
        'a,Mug &quot;Plus&quot;,"<div class=""x""><p>Good</p></div>",B&amp;B\n'
        "b,Pan,Plain,B & B\n"
    )
    done = import_texts(tmp_path, items, EVENTS)
    first, second = done.dataset.items.select("title", "description", "brand").rows()
    assert first == ('Mug "Plus"', "Good", "B&B")
    assert second == ("Pan", "Plain", "B & B")
    assert done.report["tables"]["items"]["repaired"] == {"markup": 3}
    assert done.rejected.filter(rule="markup")["column"].to_list() == ["title", "description", "brand"]
    assert "div" not in " ".join(done.dataset.item_texts)


def test_the_currency_is_kept(tmp_path: Path) -> None:
    items = 'item_id,price\na,15.00 USD\nb,"USD 1,299.50"\nc,3.00\nd,2.50 €\n'
    done = import_texts(tmp_path, items, EVENTS)
    assert done.dataset.items["price"].to_list() == [15.0, 1299.5, 3.0, 2.5]
    assert done.report["tables"]["items"]["currencies"] == {"USD": 2, "EUR": 1}
    assert warned(done, "several currencies (EUR, USD)")
    assert done.dataset.currency == ""


def test_a_currency_in_a_column_of_its_own(tmp_path: Path) -> None:
    items = "item_id,price,currency\na,1.50,EUR\nb,2.00,eur\nc,3.00,€\nd,4.00,\ne,5.00,1.50\n"
    done = import_texts(tmp_path, items=items)
    assert done.dataset.currency == "EUR"
    assert done.report["tables"]["items"]["currencies"] == {"EUR": 3}
    assert done.report["tables"]["items"]["repaired"]["unreadable_currency"] == 1
    assert "currency" not in done.dataset.items.columns


def test_a_price_says_its_currency_before_the_column_does(tmp_path: Path) -> None:
    items = "item_id,price,currency\na,1.50,EUR\nb,$2.00,EUR\nc,3.00,USD\nd,4.00,EUR\n"
    done = import_texts(tmp_path, items=items)
    assert done.dataset.items["currency"].to_list() == ["EUR", "$", "USD", "EUR"]
    assert warned(done, "min_price and max_price apply to EUR: 2 items priced in other currencies")
