"""A catalogue's words and their frequencies, and a dictionary of common English words."""

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
    """Words of letters, with their case."""
    return WORD.findall(text)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Lower-case word -> number of texts that contain it."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({word.lower() for word in WORD.findall(text)})
    return counts


@cache
def english(purpose: str) -> dict[str, int]:
    """English words and their frequencies, from symspellpy."""
    folder = Path(library("symspellpy", purpose).__file__).parent
    lines = (folder / ENGLISH_FILE).read_text(encoding="utf-8-sig").splitlines()
    pairs = (line.split() for line in lines if line.strip())
    return {word: int(n) for word, n in pairs}


def replaced(text: str, of: Mapping[str, str]) -> str:
    """Replaces words by lower-case word; each replacement takes the case of the word it replaces."""

    def word(found: re.Match[str]) -> str:
        new = of.get(found[0].lower())
        return found[0] if new is None else in_case_of(found[0], new)

    return WORD.sub(word, text)


def in_case_of(like: str, word: str) -> str:
    """A word in upper case, capitalized or unchanged, like another word."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    if like[:1].isupper():
        return " ".join(part[:1].upper() + part[1:] for part in word.split(" "))
    return word


def is_subsequence(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether the elements of `short` occur in `long` in that order."""
    rest = iter(long)
    return all(letter in rest for letter in short)
