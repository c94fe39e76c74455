"""Resolves the names in rules to item rows; rules with unknown names are rejected, with a hint."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.rules import COLUMNS, Rule, cells_of
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import DataError, nearest, shorten

SHOWN = 8
"""Maximum number of equally named categories listed in an error."""
HINTS = 20
"""Maximum number of unknown names for which the nearest known one is searched, which takes milliseconds
each."""
LONGEST_PATH = 200
"""Maximum length of category paths in errors; generous, as they are meant to be copied into the file."""


@dataclass(frozen=True)
class Named:
    """A rule and the item rows it refers to."""

    rule: Rule
    source: Rows
    """int32 (n,), ascending"""
    target: Rows
    """int32 (m,), ascending; empty for a staple."""


@dataclass(frozen=True)
class Rejected:
    """A rule with a name that the shop does not have."""

    rule: Rule
    why: str


def named(rules: Iterable[Rule], dataset: Dataset) -> tuple[list[Named], list[Rejected]]:
    """The rules with their item rows, and those with an unknown or ambiguous name."""
    names = Names(dataset)
    found, rejected = [], []
    for rule in rules:
        try:
            source = names.rows(rule.source)
            target = names.rows(rule.target) if rule.target else np.empty(0, np.int32)
        except DataError as problem:
            rejected.append(Rejected(rule, str(problem)))
            continue
        found.append(Named(rule, source, target))
    return found, rejected


def category_as_named(path: str, dataset: Dataset) -> str:
    """The full path of a category as a rule can name it, disambiguated if an item has that id."""
    mistaken = path in dataset.item_ids or path.partition(":")[0].strip().lower() in ("category", "item")
    return f"category:{path}" if mistaken else path


def write_rejected(path: str | Path, rejected: Sequence[Rejected]) -> None:
    """Writes the rejected lines unchanged, each with its reason, to be corrected and moved back."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*COLUMNS, "line", "why"])
        out.writerows([*cells_of(one.rule), one.rule.line or "", one.why] for one in rejected)


def words_of(name: str) -> tuple[str, ...] | None:
    """The words in a name that starts with `words:`, in lower case; None for any other name."""
    head, marked, rest = name.partition(":")
    return tuple(rest.lower().split()) if marked and head.strip().lower() == "words" else None


class Names:
    """Looks up categories by path or last name, and items by id or title; only ids are case-sensitive."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._found: dict[str, Rows] = {}
        self._with_word: dict[str, Rows] = {}
        self._hints = 0

    def rows(self, name: str) -> Rows:
        """The item rows of a name, int32, ascending; `DataError` if it is unknown or ambiguous."""
        if name not in self._found:
            self._found[name] = self._rows(name)
        return self._found[name]

    def with_words(self, words: Sequence[str]) -> Rows:
        """int32, ascending: items whose titles contain all of the words, as whole words except in Chinese."""
        if not words:
            return np.empty(0, np.int32)
        found = [self._word(word) for word in dict.fromkeys(words)]
        return reduce(lambda some, others: np.intersect1d(some, others, assume_unique=True), found)

    def _word(self, word: str) -> Rows:
        if word not in self._with_word:
            titles = self._lower_titles
            if all(_spaced(letter) for letter in word):
                self._with_word[word] = self._by_word.get(word, np.empty(0, np.int32))
            else:
                near = np.flatnonzero(titles.str.contains(word, literal=True).to_numpy())
                fits = titles.gather(near).str.contains(_whole(word)).to_numpy()
                self._with_word[word] = near[fits].astype(np.int32)
        return self._with_word[word]

    @cached_property
    def _lower_titles(self) -> pl.Series:
        return self.dataset.items["title"].fill_null("").str.to_lowercase()

    @cached_property
    def _by_word(self) -> dict[str, Rows]:
        """Run of letters and digits -> rows; built in one pass over the titles, however many words are looked
        up."""
        runs = pl.DataFrame({"word": self._lower_titles.str.extract_all(r"[\p{L}\p{N}]+")})
        rows = runs.with_row_index("row").explode("word").drop_nulls().unique().sort("word", "row")
        words, starts = np.unique(rows["word"].to_numpy(), return_index=True)
        parts = np.split(rows["row"].to_numpy().astype(np.int32), starts[1:])
        return dict(zip(words.tolist(), parts, strict=False))

    def _rows(self, name: str) -> Rows:
        head, marked, rest = name.partition(":")
        meant = head.strip().lower() if marked else ""
        if meant == "category":
            return self._category(rest) if self._categories(rest) else self._unknown("category", rest)
        if meant == "item":
            rows = self._item(rest.strip())
            return rows if len(rows) else self._unknown("item", rest)
        categories, item = self._categories(name), self._item(name)
        if categories and name in self.dataset.item_ids:
            raise DataError(
                f"{shorten(name)} is both a category and an item: write category:{name} or item:{name}"
            )
        if categories:
            return self._category(name)
        return item if len(item) else self._unknown("category or item", name)

    def _categories(self, name: str) -> tuple[str, ...]:
        path = SEPARATOR.join(part.strip() for part in name.split(SEPARATOR.strip()))
        return self.dataset.taxonomy.called(path)

    def _category(self, name: str) -> Rows:
        found = self._categories(name)
        # 'Coffee Filters > Coffee Filters' lies within 'Coffee Filters', so these are one match, not two
        apart = [one for one in found if not any(one.startswith(other + SEPARATOR) for other in found)]
        if len(apart) > 1:
            some = " or ".join(repr(one[:LONGEST_PATH]) for one in apart[:SHOWN])
            more = f", or one of {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
            raise DataError(f"{len(apart)} categories are called {shorten(name)}: write {some}{more}")
        return self.dataset.taxonomy.find(apart[0])

    def _item(self, name: str) -> Rows:
        row = self.dataset.item_ids.get(name)
        if row >= 0:
            return np.array([row], np.int32)
        return self._by_title.get(name.lower(), np.empty(0, np.int32))

    @cached_property
    def _by_title(self) -> dict[str, Rows]:
        titles: dict[str, list[int]] = {}
        for row, title in enumerate(self.dataset.items["title"].to_list()):
            if title:
                titles.setdefault(title.lower(), []).append(row)
        return {title: np.array(rows, np.int32) for title, rows in titles.items()}

    def _unknown(self, what: str, name: str) -> Rows:
        self._hints += 1
        if self._hints > HINTS:
            raise DataError(f"unknown {what} {shorten(name)}")
        known: list[str] = []
        if "category" in what:
            known += self.dataset.taxonomy.categories
            # Compare last names with last names, and paths with paths.
            if SEPARATOR.strip() not in name:
                known = list(dict.fromkeys(one.rsplit(SEPARATOR, 1)[-1] for one in known))
        if "item" in what:
            known += self._by_title
        raise DataError(f"unknown {what} {shorten(name)}{nearest(name.strip(), known)}")


def _whole(word: str) -> str:
    """A regular expression for a word. Scripts without spaces, such as Chinese, have no word boundaries."""
    before = r"(?:^|[^\p{L}\p{N}])" if _spaced(word[0]) else ""
    after = r"(?:$|[^\p{L}\p{N}])" if _spaced(word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"


def _spaced(letter: str) -> bool:
    return letter.isalnum() and not "\u2e80" <= letter <= "\u9fff" and letter < "\uac00"
