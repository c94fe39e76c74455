"""What two items share: words of their titles, a brand, a shelf."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from crossaisle.data.dataset import Dataset
from crossaisle.data.text.telling import is_telling
from crossaisle.encoders.tfidf import terms
from crossaisle.models.blend import Part
from crossaisle.recommend.wording.names import brand_name

WORDS = 3
"""At most this many shared words are named."""
_AUDIENCE = "man mans men mens woman womans women womens boy boys girl girls kid kids unisex"
AUDIENCE = frozenset(_AUDIENCE.split())
"""Words of titles that say whom it is for: half of a fashion shop shares them."""


@runtime_checkable
class SharesWords(Protocol):
    """A model over texts that can name the words two items have in common."""

    def shared_words(self, left: int, right: int) -> list[tuple[str, float]]:
        """Words and their share of the similarity of two item rows, largest first."""
        ...


def shared_words(dataset: Dataset, parts: Sequence[Part], source: int, item: int) -> tuple[str, ...]:
    """The telling words that carry most, of both titles and of no brand's name, one form of each.

    In the order of the item's title. Models read categories, too: everything on a shelf shares their words,
    and nobody sees these in a title.
    """
    brands = " ".join(brand_name(dataset, row).casefold() for row in (source, item))
    left, right = (_title_words(dataset, row) for row in (source, item))
    words = [right[term] for term in _shared(parts, source, item) if term in left and term in right]
    most = once([word for word in telling(words) if word.casefold() not in brands])[:WORDS]
    return tuple(sorted(most, key=list(right.values()).index))


def shared_brand(dataset: Dataset, parts: Sequence[Part], item: int, sources: Mapping[int, int]) -> str:
    """The brand of an item, where it shares words of it with an item of the same brand; else "".

    `sources`: item rows that the models know -> the items that they stand in for, mostly themselves.
    """
    brand = brand_name(dataset, item).casefold()
    words = set(re.findall(r"\w+", brand))
    alike = [row for row, named in sources.items() if brand_name(dataset, named).casefold() == brand]
    found = {word.casefold() for row in alike for word in telling(_shared(parts, row, item))}
    return brand_name(dataset, item) if words & found else ""


def shared_shelf(dataset: Dataset, item: int, sources: Sequence[int]) -> str:
    """The last name of the category that an item has in common with all of some others; "" for none."""
    paths = [dataset.taxonomy.paths[row] for row in (item, *sources)]
    if not sources or not all(paths) or len({path[0] for path in paths}) > 1:
        return ""
    return paths[0][0][-1]


def _shared(parts: Sequence[Part], source: int, item: int) -> list[str]:
    """Words that two items share as models read them, those that carry most first."""
    shared: dict[str, float] = defaultdict(float)
    for scorer, weight in parts:
        model = scorer.plain
        if isinstance(model, SharesWords) and weight > 0:
            for word, share in model.shared_words(source, item):
                shared[word] += share * weight
    return sorted(shared, key=lambda word: (-shared[word], word))


def _title_words(dataset: Dataset, row: int) -> dict[str, str]:
    """A word of the title as models read it, such as its stem -> as the title has it."""
    title, forms = str(dataset.items["title"][row] or ""), dataset.words
    found: dict[str, str] = {}
    for word in terms(title, bigrams=False):
        for term in terms(word, bigrams=False, forms=forms):
            found.setdefault(term, word)
    for term in terms(title, bigrams=False, forms=forms):
        found.setdefault(term, term)  # Chinese is cut into words where they stand
    return found


def telling(words: Iterable[str]) -> list[str]:
    """Those that a person would call a word two titles share."""
    return [word for word in words if is_telling(word) and word.lower() not in AUDIENCE]


def once(words: Iterable[str]) -> list[str]:
    """Words without those of which another form came before: "kurti, kurtis" says one thing twice."""
    out: list[str] = []
    for word in words:
        if not any(_forms_of_one(word.casefold(), other.casefold()) for other in out):
            out.append(word)
    return out


def _forms_of_one(word: str, other: str) -> bool:
    short, long = sorted((word, other), key=len)
    return long in (short, f"{short}s", f"{short}es", f"{short[:-1]}ies")
