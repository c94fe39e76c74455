"""Characters are put right, and nothing else about a text is changed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.texts import characters
from crossaisle.data.clean.texts.characters import (
    Mojibake,
    compatible,
    in_script,
    mended,
    narrowed,
    read_as_gbk,
)
from crossaisle.errors import MissingDependencyError

TEXTS = st.lists(st.text(max_size=40), max_size=20)


def test_mojibake_is_read_again_however_often_it_happened() -> None:
    once = "L’Oréal".encode().decode("windows-1252")
    twice = once.encode().decode("windows-1252", "replace")
    assert mended([once, "café", "Größe", "日本"]) == ["L’Oréal", "café", "Größe", "日本"]
    assert mended([twice])[0].startswith("L")
    assert mended(["LâOrÃ©al"])[0].endswith("Oréal")


def test_half_of_a_letter_that_is_a_control_character_is_not_lost() -> None:
    damaged = "L’Oréal".encode().decode("latin-1")
    step = Mojibake(setting="on")
    assert step.mend("title", pl.Series([damaged, None, "plain"])).to_list() == ["L’Oréal", None, "plain"]
    report = step.report(3)
    assert (report.rows_in, report.changed, report.rows_out) == (3, 1, 3)
    assert report.changes[0].after == "L’Oréal"


def test_without_ftfy_the_default_leaves_texts_alone_and_says_how_many_are_suspect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(characters, "installed", lambda name: False)
    step = Mojibake()
    damaged = "Crème".encode().decode("windows-1252")
    assert step.mend("title", pl.Series([damaged])).to_list() == [damaged]
    assert step.report(1).notes[0].endswith("[clean]'")


def test_a_missing_library_names_the_command() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[clean\]'"):
        library("no_such_library_at_all", "the step nothing")


def test_full_width_forms_become_usual_ones_and_chinese_punctuation_stays() -> None:
    assert narrowed(["ＡＢＣ　１２３！", "你好，世界！ＡＢ", "ﾊﾝﾊﾞｰｸﾞ", "Ｈello！"]) == [
        "ABC 123!",
        "你好，世界！AB",
        "ハンバーグ",
        "Hello!",
    ]


def test_compatibility_characters_become_usual_ones_but_for_those_that_say_something() -> None:
    before = "1½ oz m² Lego™ ﬁsh 5㎏ Levi´s ①"
    assert compatible([before]) == ["1½ oz m² Lego™ fish 5kg Levi´s 1"]


def test_chinese_is_brought_to_one_script_and_japanese_is_left_alone() -> None:
    assert in_script(["電腦 coffee", "豆漿", "電気ポットの"], "simplified") == [
        "电脑 coffee",
        "豆浆",
        "電気ポットの",
    ]
    assert in_script(["电脑"], "traditional") == ["電腦"]


@settings(deadline=None)  # the first texts wait for ftfy
@given(TEXTS)
def test_cleaning_twice_changes_nothing_more(texts: list[str]) -> None:
    for step in (narrowed, compatible, mended):
        once = step(texts)
        assert step(once) == once, step.__name__
        assert len(once) == len(texts)


def test_gbk_that_was_read_as_latin_1_is_read_again() -> None:
    titles = ["牛奶500ml", "蒙牛 纯牛奶 (6盒)", "Nike 运动鞋", "新鲜鸡蛋，12个", "抽纸"]
    broken = [title.encode("gbk").decode("latin-1") for title in titles]
    assert broken[0] == "Å£ÄÌ500ml"
    assert read_as_gbk(broken) == titles
    assert read_as_gbk(titles) == titles
    kept = [
        *("Crème brûlée", "CRÉÉ", "Müsli", "Größe ÄÖÜ", "»» ½ × ¾ ««", "°°°°", "××××", "25 °C ± 2", "naïve"),
        *("МОЛОКО ПТИЧЬЕ".encode("cp1251").decode("latin-1"), "Молоко".encode("cp1251").decode("latin-1")),
        *("ΓΑΛΑ ΦΡΕΣΚΟ".encode("iso8859-7").decode("latin-1"), "牛奶".encode().decode("latin-1")),
    ]
    assert read_as_gbk(kept) == kept


def test_the_step_mends_gbk_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "installed", lambda name: False)  # it needs no library
    step = Mojibake()
    texts = pl.Series(["Å£ÄÌ500ml", "Milk", None])
    assert step.mend("title", texts).to_list() == ["牛奶500ml", "Milk", None]
    [change] = step.report(3).changes
    assert (change.column, change.before, change.after) == ("title", "Å£ÄÌ500ml", "牛奶500ml")
    assert Mojibake(setting="off").mend("title", texts).equals(texts)
