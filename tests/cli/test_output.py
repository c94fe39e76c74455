"""What the command line prints of data commands no terminal."""

from __future__ import annotations

import json

import pytest

from crossaisle.cli import _say
from crossaisle.cli.output import show_json, show_table, tell

EVIL = "Rye\x1b[31m\x1b]0;owned\x07 bread\x9b2J\u202e"


def test_tables_json_lines_and_errors_print_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["item", EVIL], [[1, EVIL], [2, "[bold]plain[/bold]"]], title=EVIL)
    show_json({EVIL: [EVIL]})
    tell(EVIL)
    tell(EVIL, on_the_side=True)
    _say(f"unknown item {EVIL}", 1)
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert "Rye[31m]0;owned bread2J" in text or EVIL[:3] in text
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert "[bold]plain[/bold]" in said.out


def test_a_table_in_a_pipe_has_columns_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["name", "n"], [["a long name", 1], ["b", 22]])
    assert capsys.readouterr().out == "name          n\na long name   1\nb            22\n"


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({EVIL: [EVIL, "é"]})
    assert json.loads(capsys.readouterr().out) == {EVIL: [EVIL, "é"]}
