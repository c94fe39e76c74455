"""Items that come one by one are kept as an import of the same rows keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.cleaning.arriving import clean_bodies
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.storage import load_dataset, save_dataset
from tests.data.ingest.test_cleaning import ALL, CELLS

Row = tuple[str, str, str, list[str], str, str | None]
NAMES = st.text("abAB é牛奶ＡＢ１/;<>&\t\x1b", min_size=1, max_size=9) | (
    st.sampled_from(["Dairy", "dairy", "Home &amp; Garden", "<b>Milk</b>", "Root", "LâOrÃ©al"])
)
GROUPS = st.none() | st.text("ab1.0 \x1b", max_size=4) | st.sampled_from(["501.0", "NULL", "gloves "])
ROWS = st.lists(
    st.tuples(
        CELLS | st.just("<p>Oat&nbsp;milk</p>"), CELLS, CELLS, st.lists(NAMES, max_size=3), CELLS, GROUPS
    ),
    min_size=1,
    max_size=10,
)
ON: dict[str, Any] = {
    name: value for name, value in ALL.items() if name not in ("groups", "robots", "users", "ids")
}


def shop(rows: list[Row], clean: dict[str, Any]) -> Dataset:
    items = pl.DataFrame(
        {
            "item_id": [f"i{at}" for at in range(len(rows))],
            "title": [row[0] for row in rows],
            "description": [row[1] for row in rows],
            "brand": [row[2] for row in rows],
            "categories": [json.dumps([row[3]], ensure_ascii=False) if row[3] else None for row in rows],
            "colour": [row[4] for row in rows],
            "group_id": [row[5] for row in rows],
        },
        schema=dict.fromkeys(
            ("item_id", "title", "description", "brand", "categories", "colour", "group_id"), pl.String
        ),
    )
    imported = import_frames(
        items, None, columns={"items": {"attributes": ["colour"]}}, clean=clean, category_roots=["Root"]
    )
    return imported.dataset


def bodies(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "description": said,
            "brand": brand,
            "categories": [path] if path else [],
            "attributes": {"colour": colour},
            "group_id": group,
        }
        for title, said, brand, path, colour, group in rows
    ]


def as_kept(dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {
            "title": item["title"] or None,
            "description": item["description"] or None,
            "brand": item["brand"] or None,
            "categories": [list(path) for path in paths],
            "attributes": json.loads(item["attributes"] or "{}"),
            "group_id": item["group"],
        }
        for item, paths in zip(dataset.items.iter_rows(named=True), dataset.taxonomy.paths, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([{}, ON]))
def test_an_item_that_arrives_is_kept_as_an_import_keeps_it(rows: list[Row], clean: dict[str, Any]) -> None:
    dataset = shop(rows, clean)
    once, told = clean_bodies(bodies(rows), dataset.cleaning)
    assert once == as_kept(dataset)
    again, nothing = clean_bodies(once, dataset.cleaning)
    assert again == once
    assert nothing == [[]] * len(rows)
    for body, kept, changes in zip(bodies(rows), once, told, strict=True):
        named = {change.field for change in changes}
        assert named == {n for n in body if body[n] != kept[n] and (body[n] or kept[n])}
        assert all(change.steps for change in changes)


def test_what_was_learned_from_the_catalogue_is_applied_and_travels(tmp_path: Path) -> None:
    titles = [f"Sparkling water no {n}" for n in range(12)] + ["Sparkilng water lime"]
    brands = ["Meadow"] * 9 + ["MEADOW"] * 4
    paths = [["Drinks", "Water"]] * 9 + [["Drinks", "water"]] * 4
    rows: list[Row] = [(t, "", b, p, "", None) for t, b, p in zip(titles, brands, paths, strict=True)]
    clean = {"brands": "on", "categories": "on", "spelling": "on", "confidence": 0.6}
    dataset = shop(rows, clean)
    save_dataset(dataset, tmp_path / "data")
    cleaning = load_dataset(tmp_path / "data").cleaning
    assert cleaning == dataset.cleaning
    body = {"title": "Sparkilng water mint", "brand": "MEADOW", "categories": [["Drinks", "water"]]}
    [kept], [changes] = clean_bodies([body], cleaning)
    assert kept == {"title": "Sparkling water mint", "brand": "Meadow", "categories": [["Drinks", "Water"]]}
    assert {(one.field, one.steps) for one in changes} == {
        ("title", ("spelling",)),
        ("brand", ("brands",)),
        ("categories", ("categories",)),
    }
    [kept], [changes] = clean_bodies([{"brand": "MEADOW"}], ItemCleaning())
    assert (kept, changes) == ({"brand": "MEADOW"}, [])


def test_only_what_was_sent_is_looked_at_and_told() -> None:
    [kept], [changes] = clean_bodies([{"price": 2.5, "title": None}], ItemCleaning(), [(("A", "A"),)])
    assert kept == {"price": 2.5, "title": None}
    assert changes == []
    [kept], [changes] = clean_bodies(
        [{"attributes": {"size": "<b>L</b>", "care": "N/A", "n": 3}}], ItemCleaning()
    )
    assert kept == {"attributes": {"size": "L", "n": 3}}
    assert changes[0].steps == ("markup", "no_value")
    long = "word " * 600
    [kept], [[change]] = clean_bodies([{"title": long}], ItemCleaning())
    assert len(kept["title"]) <= 2000
    assert change.steps == ("title_cut_to_2000_characters",)
    assert change.before.endswith("…")
