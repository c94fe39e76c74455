"""What a knowledge file keeps out of `goes_with` (`NeverWith`), and what it brings in (`Opened`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import Named, named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.taxonomy import Paths
from crossaisle.data.vocabulary import Rows


class NeverWith:
    """The `never with` rules of a file, for one state of a catalogue: a new item of a category obeys, too."""

    def __init__(self, rules: Iterable[Rule], dataset: Dataset) -> None:
        self._rules = [rule for rule in rules if rule.kind == "never with"]
        self._dataset = dataset

    @cached_property
    def _sides(self) -> list[tuple[Rule, Rows, Rows]]:
        """Of each rule and direction: int32, ascending, the rows that forbid and those they forbid."""
        return _directed(named(self._rules, self._dataset)[0])

    def beside(self, view: Rows) -> list[tuple[Rule, Rows]]:
        """The rules that some item rows call up, and int32 the item rows that each forbids."""
        if not self._rules or not len(view):
            return []
        return [(rule, banned) for rule, calls, banned in self._sides if _meet(view, calls)]


class Opened:
    """Items of the category of those in view that go with them all the same: a shirt beside a blazer.

    `goes_with` shows other categories. A `goes with` line between two leaf categories of one category says
    that these are no substitutes, and opens the pair. What is of the very leaf category of an item in view
    stays out.
    """

    def __init__(self, rules: Iterable[Rule], dataset: Dataset) -> None:
        self._rules = [rule for rule in rules if rule.kind == "goes with"]
        self._dataset = dataset

    @cached_property
    def _sides(self) -> list[tuple[Rule, Rows, Rows]]:
        """Of each rule within a category and each direction: int32 rows in view, and those they open."""
        found = [one for one in named(self._rules, self._dataset)[0] if within_one(one, self._dataset)]
        return _directed(found)

    @cached_property
    def _leaves(self) -> Rows:
        """int32 (n_items,): the whole path of each item as a number."""
        paths: dict[Paths, int] = {}
        return np.array(
            [paths.setdefault(path, len(paths)) for path in self._dataset.taxonomy.paths], np.int32
        )

    def beside(self, view: Rows) -> Rows:
        """int32: the item rows that some item rows open."""
        if not self._rules or not len(view) or not self._sides:
            return np.empty(0, np.int32)
        opened = [rows for _, calls, rows in self._sides if _meet(view, calls)]
        rows = np.unique(np.concatenate([np.empty(0, np.int32), *opened]))
        return rows[~np.isin(self._leaves[rows], self._leaves[view])].astype(np.int32)


def within_one(one: Named, dataset: Dataset) -> bool:
    """Whether both sides of a rule lie within one category of the shop's level."""
    codes = dataset.taxonomy.codes()
    both = np.unique(np.concatenate([codes[one.source], codes[one.target]]))
    return one.rule.kind != "staple" and len(both) == 1 and bool(both[0] >= 0)


def _directed(found: Iterable[Named]) -> list[tuple[Rule, Rows, Rows]]:
    out = []
    for one in found:
        out.append((one.rule, one.source, one.target))
        if one.rule.direction == "both":
            out.append((one.rule, one.target, one.source))
    return out


def _meet(view: Rows, ascending: Rows) -> bool:
    """Whether some rows are among others."""
    place = np.minimum(np.searchsorted(ascending, view), len(ascending) - 1)
    return bool((ascending[place] == view).any())
