"""Quotes that enclose a value, and quotes that are part of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.errors import ConfigError
from tests.data.ingest.shops import import_texts, warned

TITLES = ['"Zen tea towel', 'Mat 24" wide', '"Rosa" gloves', 'Gloves "Rosa"', '"Mug', "Pan"]


def table(delimiter: str, titles: list[str]) -> str:
    rows = [("item_id", "title"), *zip("abcdef", titles, strict=False)]
    return "".join(delimiter.join(row) + "\n" for row in rows)


@pytest.mark.parametrize("file", ["items.tsv", "items.csv", "items.txt"])
def test_between_tabs_a_quote_is_a_character(tmp_path: Path, file: str) -> None:
    done = import_texts(tmp_path, table("\t", TITLES), items_file=file)
    assert done.dataset.items["title"].to_list() == TITLES
    assert not warned(done, "quotes")


def test_a_quoted_header_between_tabs_says_that_values_are_quoted(tmp_path: Path) -> None:
    text = '\ufeff"item_id"\t"title"\n"a"\t"Two\nlines ""and"" more"\n"b"\t"B"\n"c"\t"C"\n'
    done = import_texts(tmp_path, text, items_file="items.tsv")
    assert done.dataset.items["title"].to_list() == ['Two lines "and" more', "B", "C"]


def test_quotes_that_seem_to_enclose_values_are_said(tmp_path: Path) -> None:
    text = table("\t", ['"Mat 24"" wide"', "Pan", "Mug"])
    done = import_texts(tmp_path, text, items_file="items.tsv")
    assert done.dataset.items["title"][0] == '"Mat 24"" wide"'
    assert warned(done, "items.tsv: 1 values between tabs begin and end with a quote, which was kept")
    for quote, title in (('"', 'Mat 24" wide'), ("", '"Mat 24"" wide"')):
        given = import_texts(tmp_path, text, items_file="items.tsv", items_are={"quote": quote})
        assert given.dataset.items["title"][0] == title
        assert not warned(given, "quote")


def test_lines_that_vanish_within_quotes_are_counted(tmp_path: Path) -> None:
    done = import_texts(tmp_path, table(",", TITLES))
    assert warned(done, "items.csv: 6 lines make 4 rows: the other 2 are inside quotes")
    whole = import_texts(tmp_path, table(",", TITLES), items_are={"quote": ""})
    assert whole.dataset.items["title"].to_list() == TITLES
    assert not warned(whole, "quotes")


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    text = table(",", ["A", "B", "C"]).replace("\n", "\r\n")
    for odd in (text.replace("\r\nb", "\r\n\r\n\r\nb"), text + "\r\n\r\n", "\r\n" + text, text.rstrip()):
        assert not warned(import_texts(tmp_path, odd), "quotes")


WORDS = st.text(
    alphabet=st.characters(
        codec="utf-8",
        categories=["L", "N", "P", "S"],
        exclude_characters="<&",  # of markup, which is taken out
    ),
    min_size=1,
    max_size=9,
)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(WORDS, min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(1, 3), max_size=7),
)
def test_any_title_between_tabs_is_kept(titles: list[str], end: str, gaps: list[int]) -> None:
    heads = ["item_id\ttitle", *(f"{i}\t{title}" for i, title in enumerate(titles))]
    ends = [end * n for n in (*gaps, *[1] * len(heads))]
    text = "".join(line + ending for line, ending in zip(heads, ends, strict=False))
    with TemporaryDirectory() as folder:
        events = "user_id,item_id\n1,0\n"
        done = import_texts(
            Path(folder),
            text,
            events,
            items_file="items.tsv",
            nulls=[],
            items_are={"quote": ""},
            clean={"mojibake": "off", "width": False, "nfkc": False},
        )
    assert done.dataset.items["title"].to_list() == titles
    assert not warned(done, "quotes")


def test_another_quote(tmp_path: Path) -> None:
    done = import_texts(tmp_path, "item_id,title\na,'A, \"b\"'\n", items_are={"quote": "'"})
    assert done.dataset.items["title"].to_list() == ['A, "b"']
    with pytest.raises(ConfigError, match="quote must be one character, or empty for none"):
        import_texts(tmp_path, "item_id\na\n", items_are={"quote": "''"})
