"""The words of a catalogue, how often each stands there, and which of them everybody knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from crossaisle.data.clean.libraries import library

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
ENGLISH_FILE = "frequency_dictionary_en_82_765.txt"


def words_in(text: str) -> list[str]:
    """Words of letters, as they stand."""
    return WORD.findall(text)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Lower-case word -> texts that hold it."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({word.lower() for word in WORD.findall(text)})
    return counts


@cache
def english(purpose: str) -> dict[str, int]:
    """English words and their frequency, out of symspellpy's package."""
    folder = Path(library("symspellpy", purpose).__file__).parent
    lines = (folder / ENGLISH_FILE).read_text(encoding="utf-8-sig").splitlines()
    pairs = (line.split() for line in lines if line.strip())
    return {word: int(n) for word, n in pairs}


def replaced(text: str, of: Mapping[str, str]) -> str:
    """A text with words replaced, by lower-case word; each keeps the case of what stood there."""

    def word(found: re.Match[str]) -> str:
        new = of.get(found[0].lower())
        return found[0] if new is None else in_case_of(found[0], new)

    return WORD.sub(word, text)


def in_case_of(like: str, word: str) -> str:
    """A word in upper case, with capitals or as it is, like another one."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    if like[:1].isupper():
        return " ".join(part[:1].upper() + part[1:] for part in word.split(" "))
    return word


def is_subsequence(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether all of `short` stands in `long`, in that order."""
    rest = iter(long)
    return all(letter in rest for letter in short)
