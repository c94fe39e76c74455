"""`NeverWith`: items that a knowledge file keeps out of lists beside the items in view."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.filters import Mask, rows_mask


class NeverWith:
    """The `never with` rules of a file, for one state of a catalogue: a new item of a category obeys, too."""

    def __init__(self, rules: Iterable[Rule], dataset: Dataset) -> None:
        self._rules = [rule for rule in rules if rule.kind == "never with"]
        self._dataset = dataset

    @cached_property
    def _sides(self) -> list[tuple[Rule, Mask, Rows]]:
        """Of each rule and direction: bool (n_items,), the items that forbid; and the rows they forbid."""
        n = self._dataset.n_items
        out = []
        for one in named(self._rules, self._dataset)[0]:
            out.append((one.rule, rows_mask(one.source, n), one.target))
            if one.rule.direction == "both":
                out.append((one.rule, rows_mask(one.target, n), one.source))
        return out

    def beside(self, view: Rows) -> list[tuple[Rule, Rows]]:
        """The rules that some item rows call up, and int32 the item rows that each forbids."""
        if not self._rules or not len(view):
            return []
        return [(rule, banned) for rule, calls, banned in self._sides if calls[view].any()]
