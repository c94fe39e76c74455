"""`SearchIndex`: finds items by words of title, brand, category and id, also where they are misspelt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from rapidfuzz import process
from rapidfuzz.distance import OSA

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.rerank.filters import Mask

_EAST = r"\p{Han}\p{Hiragana}\p{Katakana}"
_WORDS = rf"[{_EAST}]|[[\p{{L}}\p{{N}}]--[{_EAST}]]+"
"""Scripts without blanks are searched character by character."""
Sort = Literal["best", "price", "-price", "title"]
"""How products are sorted: best match first, by price, by price falling, by title."""
FIELDS = {"title": 1.0, "brand": 0.9, "category": 0.6}
"""How much a word counts by where it stands."""
EXACT, PLURAL, BEGINNING, INSIDE, MISSPELT = 1.0, 0.95, 0.8, 0.6, 0.5
MOST_WORDS = 12
"""Of a query; those after them are not looked at."""
MOST_SPELLINGS = 20
"""Words of the catalogue that a misspelt one may have been."""


def words_of(texts: pl.Series) -> pl.Series:
    """List of words of each text, as they are compared: lower case, without accents."""
    plain = texts.str.to_lowercase().str.normalize("NFKD").str.replace_all(r"\p{M}", "")
    return plain.str.normalize("NFC").str.extract_all(_WORDS)


@dataclass(frozen=True)
class Found:
    """What a search gives."""

    scores: Floats
    """float32 (n_items,): 0 where an item does not fit."""
    read_as: str | None
    """The words that were looked for instead, where some were misspelt."""
    complete: bool
    """Whether the items hold all words. Where no item does, those that hold most of them are given."""

    @classmethod
    def all_of(cls, among: Mask) -> Found:
        """What is found without words."""
        return cls(among.astype(np.float32), None, complete=True)


class SearchIndex:
    """An index over the words of a catalogue. Never changed."""

    def __init__(self, view: CatalogueView) -> None:
        items, taxonomy = view.dataset.items, view.dataset.taxonomy
        self._n, self._ids = len(items), view.dataset.item_ids
        self._leaf, self._leaves = taxonomy.codes(-1), taxonomy.names(-1)
        self._titles, self._brands = items["title"], items["brand"]
        leaves = pl.Series([*self._leaves, ""], dtype=pl.String)
        texts = self._titles, self._brands, leaves.gather(self._leaf % len(leaves))
        table = pl.concat(
            pl.DataFrame({"word": words_of(text), "row": np.arange(self._n, dtype=np.int32)})
            .explode("word")
            .drop_nulls()
            .with_columns(weight=pl.lit(weight, pl.Float32))
            for text, weight in zip(texts, FIELDS.values(), strict=True)
        )
        table = table.group_by("word", "row").agg(pl.col("weight").max()).sort("word", "row")
        counted = table.group_by("word", maintain_order=True).len()
        self._words: list[str] = counted["word"].to_list()
        self._series = counted["word"]
        self._start = np.concatenate([[0], np.cumsum(counted["len"].to_numpy())]).astype(np.int64)
        self._rows, self._weights = table["row"].to_numpy(), table["weight"].to_numpy()
        self._number = {word: at for at, word in enumerate(self._words)}
        self._stems: dict[str, list[int]] = {}
        for at, word in enumerate(self._words):
            self._stems.setdefault(_stem(word), []).append(at)

    def fits(self, view: CatalogueView) -> bool:
        """Whether the index is one of this catalogue: prices and stock are not in it."""
        items, taxonomy = view.dataset.items, view.dataset.taxonomy
        return (
            len(items) == self._n
            and self._titles.equals(items["title"])
            and self._brands.equals(items["brand"])
            and self._leaves == taxonomy.names(-1)
            and np.array_equal(self._leaf, taxonomy.codes(-1))
        )

    def find(self, text: str, among: Mask) -> Found:
        """Items for a text. `among`: bool (n_items,), the items that may be found."""
        scores = np.zeros(self._n, np.float32)
        said = words_of(pl.Series([text])).to_list()[0][:MOST_WORDS]
        known = self._ids.get(text.strip())
        if known >= 0 and among[known]:
            scores[known] = 10.0  # an id comes before all words
        words, read, spelt = list(dict.fromkeys(said)), [], True
        held = np.zeros(self._n, np.int32)
        weight = np.zeros(self._n, np.float32)
        for word in words:
            kinds = self._meant(word)
            one = np.zeros(self._n, np.float32)
            for at, quality in kinds.items():
                span = slice(self._start[at], self._start[at + 1])
                rows = self._rows[span]
                one[rows] = np.maximum(one[rows], self._weights[span] * np.float32(quality))
            one[~among] = 0.0
            held += one > 0
            weight += one
            corrected = kinds and max(kinds.values()) == MISSPELT
            read.append(self._commonest(kinds) if corrected else word)
            spelt &= not corrected
        most = int(held.max(initial=0))
        if words and most:
            best = held == most
            scores[best] += weight[best]
        return Found(scores, None if spelt else " ".join(read), most == len(words) or known >= 0)

    def _meant(self, word: str) -> dict[int, float]:
        """Words of the catalogue that a word may stand for, by number, and how well."""
        found: dict[int, float] = dict.fromkeys(self._stems.get(_stem(word), ()), PLURAL)
        if (same := self._number.get(word)) is not None:
            found[same] = EXACT
        if len(word) > 1:
            for at in np.flatnonzero(self._series.str.starts_with(word).to_numpy()).tolist():
                found.setdefault(at, BEGINNING)
        if found or len(word) < 3:
            return found
        inside = np.flatnonzero(self._series.str.contains(word, literal=True).to_numpy()).tolist()
        if inside or len(word) < 4:
            return dict.fromkeys(inside, INSIDE)
        return dict.fromkeys(self._like(word), MISSPELT)

    def _like(self, word: str) -> Iterator[int]:
        """Words that differ, but for the plural, by the fewest slips (letters added, left out, wrong or
        swapped): one, or two in a long word.
        """
        close = process.extract(
            _stem(word),
            list(self._stems),
            scorer=OSA.distance,
            score_cutoff=1 if len(word) < 8 else 2,
            limit=MOST_SPELLINGS,
        )
        fewest = min((slips for _, slips, _ in close), default=0)
        return (at for stem, slips, _ in close if slips == fewest for at in self._stems[stem])

    def _commonest(self, kinds: dict[int, float]) -> str:
        return self._words[max(kinds, key=lambda at: self._start[at + 1] - self._start[at])]


class KeptIndex:
    """The index of a catalogue that changes: made at the first search after its texts have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._index: SearchIndex | None = None

    def of(self, view: CatalogueView) -> SearchIndex:
        """The index of a view. For any thread."""
        with self._lock:
            if self._index is None or not self._index.fits(view):
                self._index = SearchIndex(view)
            return self._index


def order_of(scores: Floats, view: CatalogueView, sort: Sort) -> Rows:
    """int32: rows with a score, in order; of equals the popular ones first."""
    rows = view.by_popularity[scores[view.by_popularity] > 0]
    if sort == "title":
        titles = view.lower_titles.to_numpy()[rows]
        return rows[np.argsort(titles, kind="stable")]
    if sort == "best":
        return rows[np.argsort(-scores[rows], kind="stable")]
    prices = view.prices[rows]
    return rows[np.argsort(-prices if sort == "-price" else prices, kind="stable")]  # unknown ones last


def _stem(word: str) -> str:
    """Without the ending of an English plural."""
    if len(word) < 4 or word.endswith("ss"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word
