"""Texts lose control characters the same way wherever they come in."""

from __future__ import annotations

import json
import random

import polars as pl

from crossaisle.data.ingest.clean import tidy
from crossaisle.data.text.control import escaped_control, tidied, without_control

ODD = "ab \t\n\r\x0b\x0c\x1b\x00\x07\x1c\x1f\x7f\x80\x85\x9b\xa0\u2028\u202a\u202e\u2066\u2069\u3000\u200bé💥"


def test_one_text_is_tidied_as_a_column_is() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choice(ODD) for _ in range(rng.randrange(9))) for _ in range(5000)]
    column = pl.DataFrame({"t": texts}).select(tidy(pl.col("t")))["t"].to_list()
    assert [tidied(text) for text in texts] == [text or "" for text in column]


def test_nothing_of_a_text_commands_a_terminal() -> None:
    assert (
        without_control("\x1b[31mred\x1b]0;title\x07\x9b2J\u202e\tand\nmore")
        == "[31mred]0;title2J\tand\nmore"
    )
    text = json.dumps({"a": "\x7f\x9b\u202e é"}, ensure_ascii=False)
    assert escaped_control(text) == '{"a": "\\u007f\\u009b\\u202e é"}'
    assert json.loads(escaped_control(text)) == json.loads(text)
