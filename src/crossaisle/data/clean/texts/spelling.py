"""Misspelt words in titles, checked against the catalogue's own vocabulary, so that brands are left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.proposing import ProposingStep
from crossaisle.data.clean.report import Change, Proposal
from crossaisle.data.clean.texts.vocabulary import count_words, english, replaced, words_in

SHORTEST = 5
"""Minimum length of words that are corrected: most shorter ones are words in their own right."""
RARE = 2
"""Maximum number of titles that contain a given misspelt word."""
FREQUENT = 8
"""Minimum number of titles that contain the right word."""
ENDINGS = (
    "s",
    "es",
    "'s",
    "’s",
    "d",
    "ed",
    "r",
    "er",
    "ing",
    "y",
    "ly",
    "n",
    "en",
    "e",
    "x",
    "z",
    "al",
    "ic",
    "a",
    "o",
    "i",
)
"""Endings that turn a word into another form."""


@dataclass(frozen=True, kw_only=True)
class Spelling(ProposingStep):
    """Corrects rare words that are one letter away from a frequent word of the catalogue.

    Left alone are English words, parts of brand names, capitals with digits, and forms of the frequent word
    (plurals, endings). The confidence grows with the word's length, with how often the right word occurs next
    to the same neighbours, and with its lead over the second best. Suggestions by SymSpell (Garbe, 2012).
    """

    name: str = "spelling"

    def proposals(self, products: Products) -> Iterable[Proposal]:
        brands = {word.lower() for brand in set(products.texts("brand")) for word in words_in(brand)}
        return propose(products.texts("title"), brands)

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        return products.rewritten(("title",), lambda texts: [replaced(t, chosen) for t in texts])


def propose(titles: Iterable[str], brands: set[str]) -> Iterable[Proposal]:
    """Rare words and their probable corrections; `brands`: words that are never wrong."""
    titles = list(dict.fromkeys(titles))
    counts = count_words(titles)
    known = english("the step spelling")
    suspects = sorted(
        word
        for word, n in counts.items()
        if n <= RARE and len(word) >= SHORTEST and word.isalpha() and word not in known and word not in brands
    )
    if not suspects:
        return
    frequent = {w: n for w, n in counts.items() if n >= FREQUENT and len(w) >= SHORTEST - 1 and w.isalpha()}
    speller = _speller(frequent)
    neighbours = _neighbours(titles, set(suspects) | set(frequent), set(suspects))
    for word in suspects:
        found = _suggestions(speller, word)
        found = [s for s in found if not _is_form(word, s.term)]
        if found:
            yield _proposal(word, found, counts, neighbours)


def _speller(words: Mapping[str, int]) -> Any:
    module = library("symspellpy", "the step spelling")
    speller = module.SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    for word, n in words.items():
        speller.create_dictionary_entry(word, n)
    return speller


def _suggestions(speller: Any, word: str) -> list[Any]:
    """The closest frequent words, most frequent first."""
    closest = library("symspellpy", "the step spelling").Verbosity.CLOSEST
    found: list[Any] = speller.lookup(word, closest, max_edit_distance=1)
    return found


def _is_form(word: str, other: str) -> bool:
    """Whether one word is the other with an ending."""
    short, long = sorted((word, other), key=len)
    if len(short) < len(long) and long[-1] == long[-2]:
        return False  # a letter that should have been doubled
    if long.startswith(short) and long[len(short) :] in ENDINGS:
        return True
    stem = len(short) - 1
    return (
        len(short) == len(long)
        and word[:stem] == other[:stem]
        and word[-1] in "aeioyszdrn"
        and other[-1] in "aeioyszdrn"
    )


def _neighbours(titles: Iterable[str], words: set[str], rare: set[str]) -> dict[str, Counter[str]]:
    """Word -> counts of its neighbours; for frequent words, only neighbours that rare words have, too."""
    beside_rare: set[str] = set()
    split = [[word.lower() for word in words_in(title)] for title in titles]
    for row in split:
        for at, word in enumerate(row):
            if word in rare:
                beside_rare.update(row[max(at - 1, 0) : at], row[at + 1 : at + 2])
    out: dict[str, Counter[str]] = {}
    for row in split:
        for at, word in enumerate(row):
            if word in words:
                beside = [w for w in (*row[max(at - 1, 0) : at], *row[at + 1 : at + 2]) if w in beside_rare]
                out.setdefault(word, Counter()).update(beside)
    return out


def _proposal(
    word: str, found: list[Any], counts: Mapping[str, int], neighbours: Mapping[str, Counter[str]]
) -> Proposal:
    def shared(term: str) -> int:
        mine, theirs = neighbours.get(word, Counter()), neighbours.get(term, Counter())
        return sum(theirs[w] for w in mine)

    ranked = sorted(found, key=lambda s: (-shared(s.term), -s.count, s.term))
    best = ranked[0].term
    together = shared(best)
    rivals = sum(shared(s.term) + 0.2 for s in ranked[1:])
    context = together / (together + 1.0)
    lead = (together + 1.0) / (together + 1.0 + rivals)
    length = 1.0 - 1.2 / len(word)
    same_start = 1.0 if word[0] == best[0] else 0.8
    sure = lead * same_start * (0.55 * length + 0.45 * context)
    return Proposal(
        before=word,
        after=best,
        confidence=min(sure + 0.04, 0.99),
        rows=counts[word],
        why=f"{best!r} is in {counts[best]:,} titles, next to the same words {together:,} times",
    )
