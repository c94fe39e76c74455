"""Words that stand for no value, and ids that stand for many."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from crossaisle.config import NULLS
from crossaisle.data.ingest.importer import import_frames
from tests.data.ingest.shops import import_texts, warned


@pytest.mark.parametrize("word", NULLS)
def test_null_words_are_no_ids_categories_prices_or_times(tmp_path: Path, word: str) -> None:
    items = f"item_id,title,categories,price,in_stock\na,Apple,{word},{word},{word}\n{word},B,Food,1,1\n"
    events = (
        "user_id,item_id,time,quantity\n1,a,2024-01-01,2\n"
        f"{word},a,2024-01-01,1\n1,{word},2024-01-01,1\n1,a, {word} ,1\n1,a,2024-01-02,{word}\n"
    )
    done = import_texts(tmp_path, items, events)
    assert done.dataset.item_ids.all == ("a",)
    assert done.dataset.user_ids.all == ("1",)
    assert done.dataset.taxonomy.paths == ((),)
    assert done.dataset.items["price"].to_list() == [None]
    assert done.dataset.events.quantity.tolist() == [2.0, 1.0]
    aside = {"missing_user_id": 1, "missing_item_id": 1, "missing_time": 1}
    assert done.report["tables"]["events"]["set_aside"] == aside
    assert done.rejected.filter(rule="missing_user_id")["value"].to_list() == [word]


def test_words_close_to_null_words_stay(tmp_path: Path) -> None:
    events = "user_id,item_id\nNull,a\nnone,a\nNa,a\n-,a\n0,a\n"
    done = import_texts(tmp_path, events=events)
    assert done.dataset.user_ids.all == ("Null", "none", "Na", "-", "0")


def test_the_words_can_be_set(tmp_path: Path) -> None:
    events = "user_id,item_id\nNULL,a\n-,a\n1,a\n"
    done = import_texts(tmp_path, events=events, nulls=["-"])
    assert done.dataset.user_ids.all == ("NULL", "1")


def test_every_form_of_a_table_is_read_alike(tmp_path: Path) -> None:
    rows = [{"user_id": float("nan"), "item_id": "a"}, {"user_id": None, "item_id": "a"}]
    rows += [{"user_id": "NULL", "item_id": "a"}, {"user_id": 7, "item_id": "a"}]
    lines = "\n".join(map(json.dumps, rows))
    done = import_texts(tmp_path, events=lines, events_file="events.jsonl")
    assert done.dataset.user_ids.all == ("7",)
    frame = pl.DataFrame({"user_id": ["NULL", "7"], "item_id": ["a", "a"]})
    assert import_frames(None, frame).dataset.user_ids.all == ("7",)
    users = pl.DataFrame({"user_id": ["NULL", "7"], "city": ["NA", "Ulm"]})
    for kind in (pl.String, pl.Categorical):
        made = import_frames(None, frame, users.with_columns(pl.col("city").cast(kind)))
        assert made.dataset.users.rows() == [("7", "Ulm")]
    more = pl.DataFrame(
        {"user_id": ["7", "8"], "city": ["NA", "Ulm"]}, schema_overrides={"city": pl.Categorical}
    )
    seen = pl.DataFrame({"user_id": ["7", "8"], "item_id": ["a", "a"]})
    assert import_frames(None, seen, more).dataset.users.rows() == [("7", None), ("8", "Ulm")]


def test_categories_are_tidied_as_other_texts_are(tmp_path: Path) -> None:
    items = 'item_id,title,categories\na,A," N/A "\nb,B,"Mi\x07lk > Mi\u200cx"\nc,C,"Milk > Mi\u200cx"\n'
    done = import_texts(tmp_path, items)
    paths = dict(zip(done.dataset.item_ids.all, done.dataset.taxonomy.paths, strict=True))
    assert paths["a"] == ()
    assert paths["b"] == paths["c"] == (("Milk", "Mi\u200cx"),)
    assert done.report["tables"]["items"]["repaired"] == {"control_characters": 1}


def crowd(guest: int, others: int, *, column: str) -> pl.DataFrame:
    names = ["0"] * guest + [str(i) for i in range(1, 20) for _ in range(others)]
    other = [f"x{i % 12}" for i in range(len(names))]
    columns = (
        {"user_id": names, "item_id": other} if column == "user_id" else {"user_id": other, "item_id": names}
    )
    return pl.DataFrame(columns)


def test_a_user_beyond_all_others_is_named() -> None:
    done = import_frames(None, crowd(51, 5, column="user_id"))
    assert warned(done, "user '0' has 51 of 146 events, over 10 times as many as any other user")
    for guest, others in ((50, 5), (49, 1)):
        assert not warned(import_frames(None, crowd(guest, others, column="user_id")), "any other")


def test_an_item_beyond_all_others_is_named() -> None:
    done = import_frames(None, crowd(300, 5, column="item_id"))
    assert warned(done, "item '0' has 300 of 395 events")
