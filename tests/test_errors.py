"""Messages and hints: short, and made in no time, whatever the names are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product

import pytest

from crossaisle.errors import LONGEST_NAME, DataError, UnknownIdError, either, nearest, shorten


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("Diary", ["Bakery", "Dairy"], " (did you mean 'Dairy'?)"),
        ("MILK", ["milk", "bread"], " (did you mean 'milk'?)"),
        ("zzz", ["milk", "bread"], " (known: milk, bread)"),
        ("zzz", [str(n) for n in range(13)], f" (known: {', '.join(map(str, range(12)))}, …)"),
        ("x", [], ""),
        ("", ["a"], " (known: a)"),
        (
            "item-12345-" + "x" * 300,
            ["item-12354-" + "x" * 300],
            f" (did you mean 'item-12354-{'x' * 53}…'?)",
        ),
        ("zzz", ["n" * 300], f" (known: {'n' * 64})"),
    ],
)
def test_a_hint_names_what_is_near(name: str, known: list[str], hint: str) -> None:
    assert nearest(name, known) == hint


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("item-99999-" + "x" * 245, [f"item-{n:05d}-" + "x" * 245 for n in range(5000)]),
        ("x" * 15_000_000, [str(n) for n in range(100_000)]),
        ("ab" * 128, ["".join(one) * 20 for one in product("ab", repeat=12)]),
        ("short", ["y" * 1_000_000] * 100),
    ],
    ids=["one prefix", "a long name", "two letters", "long known names"],
)
def test_a_hint_takes_milliseconds_for_any_names(name: str, known: list[str]) -> None:
    start = time.process_time()
    hint = nearest(name, known)
    assert time.process_time() - start < 0.5  # 10 s before names and candidates were bounded
    assert len(hint) < 1000


def _told(names: list[str], asked: list[str]) -> Iterator[str]:
    for name in names:
        asked.append(name)
        yield name


def test_an_unknown_id_makes_its_hint_when_it_is_asked() -> None:
    asked: list[str] = []
    error = UnknownIdError("unknown item 'mlk'", name="mlk", known=_told(["milk"], asked))
    assert str(error) == "unknown item 'mlk'"
    assert not asked
    assert error.hint == " (did you mean 'milk'?)"
    assert asked == ["milk"]
    assert UnknownIdError("no such thing").hint == ""


def test_a_message_shows_64_characters_of_a_value() -> None:
    assert shorten("x" * 256) == f"'{'x' * LONGEST_NAME}…'"
    assert shorten("x" * 64) == f"'{'x' * 64}'"
    assert str(DataError("must be short", value="y" * 70)) == f"must be short (found '{'y' * 64}…')"


@pytest.mark.parametrize(
    ("choices", "said"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c"), ([], "")]
)
def test_choices_are_listed_with_one_or(choices: list[str], said: str) -> None:
    assert either(choices) == said
