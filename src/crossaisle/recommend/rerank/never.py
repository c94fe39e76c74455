"""`NeverWith`: items that a knowledge file keeps out of lists beside the items in view."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.vocabulary import Rows


class NeverWith:
    """The `never with` rules of a file, for one state of a catalogue: a new item of a category obeys, too."""

    def __init__(self, rules: Iterable[Rule], dataset: Dataset) -> None:
        self._rules = [rule for rule in rules if rule.kind == "never with"]
        self._dataset = dataset

    @cached_property
    def _sides(self) -> list[tuple[Rule, Rows, Rows]]:
        """Of each rule and direction: int32, ascending, the rows that forbid and those they forbid."""
        out = []
        for one in named(self._rules, self._dataset)[0]:
            out.append((one.rule, one.source, one.target))
            if one.rule.direction == "both":
                out.append((one.rule, one.target, one.source))
        return out

    def beside(self, view: Rows) -> list[tuple[Rule, Rows]]:
        """The rules that some item rows call up, and int32 the item rows that each forbids."""
        if not self._rules or not len(view):
            return []
        return [(rule, banned) for rule, calls, banned in self._sides if _meet(view, calls)]


def _meet(view: Rows, ascending: Rows) -> bool:
    """Whether some rows are among others."""
    place = np.minimum(np.searchsorted(ascending, view), len(ascending) - 1)
    return bool((ascending[place] == view).any())
