"""The index over titles, brands, categories and ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.ingest.importer import from_frames
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.serve.live.catalogue.search import KeptIndex, SearchIndex, order_of

ITEMS = [
    ("a1", "Strawberries, 16 oz", "Berrico", "Produce > Berries", 2.5),
    ("a2", "Strawberry jam", "Sweet", "Pantry > Spreads", 3.5),
    ("a3", "Fluid Milk 2% Only", "Meadow", "Dairy > Milk", 1.2),
    ("a4", "Chocolate milk", "Meadow", "Dairy > Milk", None),
    ("a5", "Toffee", "Sweet", "Pantry > Sweets", 4.0),
    ("a6", "Ground coffee", "Crema", "Pantry > Coffee", 6.0),
    ("a7", "Crème brûlée", "", "Dairy > Desserts", 5.0),
    ("a8", "草莓果酱", "", "Pantry > Spreads", 3.0),
    ("a9", "Party balloons", "", "Home > Party", 2.0),
]


@pytest.fixture(scope="module")
def view() -> CatalogueView:
    items = pl.DataFrame(ITEMS, schema=["item_id", "title", "brand", "categories", "price"], orient="row")
    dataset = from_frames(items, None)
    return CatalogueView.of(dataset, np.arange(len(ITEMS), 0, -1).astype(np.float64))


@pytest.fixture(scope="module")
def index(view: CatalogueView) -> SearchIndex:
    return SearchIndex(view)


def found(index: SearchIndex, view: CatalogueView, text: str) -> list[str]:
    result = index.find(text, np.ones(len(ITEMS), bool))
    return [ITEMS[row][0] for row in order_of(result.scores, view, "best")]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("strawberry", ["a2", "a1"]),  # itself, then the plural
        ("STRAWBERRIES", ["a1", "a2"]),
        ("choclate", ["a4"]),
        ("strawbery", ["a1", "a2"]),
        ("milk 2%", ["a3"]),
        ("meadow milk", ["a3", "a4"]),  # brand and title
        ("spreads", ["a2", "a8"]),  # category
        ("coffee", ["a6"]),  # and no toffee: the word is known
        ("choc", ["a4"]),  # while it is typed
        ("creme brulee", ["a7"]),
        ("果酱", ["a8"]),
        ("a5", ["a5"]),
        ("part", ["a9"]),
        ("xyzzy", []),
        ("", []),
        ("?!", []),
    ],
)
def test_what_is_found(index: SearchIndex, view: CatalogueView, text: str, ids: list[str]) -> None:
    assert found(index, view, text) == ids


def test_what_was_understood(index: SearchIndex) -> None:
    among = np.ones(len(ITEMS), bool)
    assert index.find("choclate milk", among).read_as == "chocolate milk"
    assert index.find("chocolate milk", among).read_as is None
    assert index.find("chocolate milk", among).complete
    partly = index.find("chocolate balloons milk", among)  # none has all three: those with two
    assert not partly.complete
    assert [ITEMS[row][0] for row in np.flatnonzero(partly.scores)] == ["a4"]
    among[3] = False  # filtered out: nothing is said about it
    assert np.flatnonzero(index.find("chocolate", among).scores).tolist() == []


def test_orders(view: CatalogueView) -> None:
    scores = np.ones(len(ITEMS), np.float32)

    def ids(sort: str) -> list[str]:
        return [ITEMS[row][0] for row in order_of(scores, view, sort)]  # type: ignore[arg-type]

    assert ids("best") == [row[0] for row in ITEMS]
    assert ids("price")[:2] == ["a3", "a9"]
    assert ids("price")[-1] == ids("-price")[-1] == "a4"  # a price that is not known comes last
    assert ids("-price")[0] == "a6"
    assert ids("title")[0] == "a4"


def test_the_index_is_kept_while_texts_stay(view: CatalogueView) -> None:
    kept = KeptIndex()
    first = kept.of(view)
    dearer = replace(view, prices=view.prices + 1)
    assert kept.of(dearer) is first
    items = view.dataset.items.with_columns(title=pl.lit("Pear"))
    renamed = replace(view, dataset=replace(view.dataset, items=items))
    again = kept.of(renamed)
    assert again is not first
    assert len(np.flatnonzero(again.find("pears", np.ones(len(ITEMS), bool)).scores)) == len(ITEMS)
