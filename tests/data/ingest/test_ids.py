"""Ids survive, are repaired in one way everywhere, or are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossaisle.data.ingest.clean import encode_ids, texts
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.text.ids import REFUSED, tidy_id, tidy_ids
from crossaisle.errors import DataError
from tests.data.ingest.shops import import_texts, warned

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12)
ODD = st.sampled_from(["501.0", " 501.0 ", "-3.0", ".0", "a.0", "5.00", "5.0\x07", "0501.0", "1.0.0", "٣.0"])


@settings(max_examples=300, deadline=None)
@given(TEXT | ODD)
@example("1" * 19 + ".0")
def test_one_id_and_a_column_of_ids_are_tidied_alike(text: str) -> None:
    column = pl.DataFrame({"id": [text]}).select(tidy_ids(pl.col("id")))["id"][0]
    assert tidy_id(text) == (column or "")
    assert tidy_id(tidy_id(text)) == tidy_id(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT | ODD, min_size=1, max_size=30))
def test_ids_survive(ids: list[str]) -> None:
    done = encode_ids(texts(ids))
    refused = {n for mask in done.refused.values() for n, bad in enumerate(mask) if bad}
    expected = [None if n in refused else tidy_id(text) or None for n, text in enumerate(ids)]
    assert done.codes.to_pylist() == expected
    for n in refused:
        assert any(pl.Series([tidy_id(ids[n])]).str.contains(rule)[0] for rule in REFUSED.values())


def test_whole_numbers_lose_what_pandas_adds(tmp_path: Path) -> None:
    events = "user_id,item_id,time\n501.0,10,2024-01-01\n501,10.0,2024-01-02\n502.0,11,2024-01-02\n"
    done = import_texts(tmp_path, "item_id,title\n10.0,Mug\n11.0,Pan\n", events)
    assert list(done.dataset.user_ids.all) == ["501", "502"]
    assert list(done.dataset.item_ids.all) == ["10", "11"]
    assert done.report["tables"]["items"]["repaired"] == {"whole_number_id": 2}
    assert done.report["tables"]["events"]["repaired"] == {"whole_number_id": 3}


def test_shortened_numbers_are_no_ids(tmp_path: Path) -> None:
    rows = "".join(f"{n},{4_012_345_000_000 + n},2024-01-0{1 + n}\n" for n in range(5))
    done = import_texts(tmp_path, None, "user_id,item_id,time\n" + rows + "9,4.01E+12,2024-01-01\n")
    assert done.report["tables"]["events"]["set_aside"] == {"shortened_id": 1}
    with pytest.raises(DataError, match=r"column 'item_id': a spreadsheet has cut the last digits"):
        import_texts(tmp_path, "item_id,title\n4.01E+12,Mug\n4.02E+12,Pan\n")


def test_lost_leading_zeros_are_named(tmp_path: Path) -> None:
    items = "item_id,title\n00123,Mug\n00124,Pan\nx,Pot\n"
    events = "user_id,item_id\n1,123\n2,124\n3,x\n"
    done = import_texts(tmp_path, items, events)
    assert warned(
        done, "2 unknown ids differ from known ids only in leading zeros, such as '123' and '00123'"
    )
    with pytest.raises(DataError, match=r"none of 2 events .* only in leading zeros"):
        import_texts(tmp_path, items, "user_id,item_id\n1,123\n2,124\n")
    done = import_texts(tmp_path, items, "user_id,item_id\n1,X\n2,00124\n")
    assert warned(done, "1 unknown ids differ from known ids only in upper and lower case")


def test_an_id_that_is_a_list_is_set_aside_among_good_ones() -> None:
    events = pl.DataFrame({"user_id": ["1", "2", "3"], "item_id": ["a", '["a", "b"]', "b"]})
    done = import_frames(None, events)
    assert done.rejected.select("row", "rule", "value").rows() == [(2, "list_as_id", '["a", "b"]')]
    nested = pl.DataFrame({"user_id": ["1"], "item_id": [["a", "b"]]})
    with pytest.raises(DataError, match=r"a list or an object is not an id: set explode = 'item_id'"):
        import_frames(None, nested)


GUESTS = "user_id,basket_id,item_id\n1,A,a\n,B,a\n,B,b\n,,c\nNULL,C,b\n"


def test_baskets_without_a_user(tmp_path: Path) -> None:
    done = import_texts(tmp_path, None, GUESTS)
    assert done.report["tables"]["events"]["set_aside"] == {"missing_user_id": 4}
    done = import_texts(tmp_path, None, GUESTS, events_are={"guests": "baskets"})
    assert list(done.dataset.user_ids.all) == ["1", "basket:B", "basket:C"]
    assert done.dataset.raw.events.user.tolist() == [0, 1, 1, 2]
    assert done.dataset.raw.events.basket.tolist() == [0, 1, 1, 2]
    assert done.rejected.select("row", "rule").rows() == [(5, "missing_user_id")]
