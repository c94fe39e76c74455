"""Keywords of item texts by three methods that complement each other: TF-IDF, YAKE, an encoder.

| method | a word is a keyword when | needs |
|---|---|---|
| `tfidf` | it is rare in the catalogue | nothing |
| `yake` | its form, place and frequency in this one text say so (Campos et al., Inf. Sci. 2020) | `yake` |
| `encoder` | its vector is near that of the whole title (as KeyBERT, Grootendorst 2020) | an encoder |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.encoders.base import Encoder
from crossaisle.encoders.tfidf import terms
from crossaisle.errors import MissingDependencyError
from crossaisle.features.space import ItemSpace
from crossaisle.features.table import Table

Keywords = list[tuple[str, ...]]
"""Per item, its keywords, best first."""
EACH = 3
COLUMNS = 16
"""Number of keywords per method that become columns, by number of events."""


def by_tfidf(space: ItemSpace, each: int = EACH) -> Keywords:
    """The words of each title with the largest TF-IDF weight."""
    out = []
    for row in range(space.words.shape[0]):
        part = slice(space.words.indptr[row], space.words.indptr[row + 1])
        column, weight = space.words.indices[part], space.words.data[part]
        order = [c for c in column[np.argsort(-weight, kind="stable")].tolist() if space.telling[c]]
        out.append(tuple(space.terms[c] for c in order[:each]))
    return out


def by_yake(titles: Sequence[str], each: int = EACH, *, language: str = "en") -> Keywords:
    """The words of each title that YAKE selects as keywords; `MissingDependencyError` without yake."""
    try:
        from yake import KeywordExtractor
    except ModuleNotFoundError:
        raise MissingDependencyError("yake", "features", "keywords by YAKE") from None
    extractor = KeywordExtractor(lan=language, n=1, top=each)

    @cache
    def keywords(title: str) -> tuple[str, ...]:
        return tuple(word.lower() for word, _ in extractor.extract_keywords(title)) if title else ()

    return [keywords(title) for title in titles]


def by_encoder(titles: Sequence[str], encoder: Encoder, each: int = EACH) -> Keywords:
    """The words of each title whose vectors are closest to the title's own vector."""
    words = [[w for w in dict.fromkeys(terms(title, bigrams=False)) if w.isalpha()] for title in titles]
    distinct = sorted({w for of in words for w in of})
    place = {word: number for number, word in enumerate(distinct)}
    vectors: Floats = encoder.encode(distinct) if distinct else np.zeros((0, 1), np.float32)
    whole = encoder.encode(list(titles))
    out = []
    for row, of in enumerate(words):
        at = [place[word] for word in of]
        near = np.argsort(-(vectors[at] @ whole[row]), kind="stable")[:each].tolist() if at else []
        out.append(tuple(of[i] for i in near))
    return out


def keyword_columns(
    method: str, keywords: Keywords, mass: npt.NDArray[np.number], most: int = COLUMNS
) -> Table:
    """1 where an item has a keyword, for the keywords with the largest `mass` (n_items,); one row per
    item."""
    total: dict[str, float] = {}
    for of, weight in zip(keywords, mass.tolist(), strict=True):
        for word in of:
            total[word] = total.get(word, 0.0) + weight
    chosen = sorted(total, key=lambda word: (-total[word], word))[:most]
    place = {word: number for number, word in enumerate(chosen)}
    values = np.zeros((len(keywords), len(chosen)), np.float32)
    for row, of in enumerate(keywords):
        values[row, [place[word] for word in of if word in place]] = 1.0
    return Table(tuple(f"item.{method}:{word}" for word in chosen), values)
