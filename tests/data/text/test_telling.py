"""Which words of titles can name something."""

from __future__ import annotations

import pytest

from crossaisle.data.text.telling import is_telling


@pytest.mark.parametrize("word", ["Coffee", "tea", "rye", "Öl", "咖啡", "茶"])
def test_words_that_a_person_would_say_name_something(word):
    assert is_telling(word)


@pytest.mark.parametrize("word", ["for", "With", "ctn", "OZ", "gds", "12", "xl", "oat milk", "a4", ""])
def test_units_joining_words_abbreviations_and_numbers_name_nothing(word):
    assert not is_telling(word)
