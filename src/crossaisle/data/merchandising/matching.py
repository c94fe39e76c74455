"""Resolves the names in rules to item rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import Names, words_of
from crossaisle.data.merchandising.rules import MerchandisingRule, RuleSet
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, DataError


@dataclass(frozen=True)
class Matched:
    """A rule and the item rows it matches."""

    rule: MerchandisingRule
    items: Rows
    """int32 (n,), ascending"""
    beside: Rows
    """int32 (m,), ascending"""
    unknown: tuple[str, ...] = ()
    """One sentence for each name that is unknown or ambiguous in this shop."""
    silent: tuple[str, ...] = ()
    """`words:` names that match no title."""


def matched(rules: RuleSet, dataset: Dataset) -> tuple[Matched, ...]:
    """All rules with their item rows in this state of the catalogue; unknown names match nothing."""
    names = Names(dataset)
    out = []
    for rule in rules.rules:
        unknown: list[str] = []
        silent: list[str] = []
        items, beside = (_rows(names, side, unknown, silent) for side in (rule.items, rule.beside))
        out.append(Matched(rule, items, beside, tuple(unknown), tuple(silent)))
    return tuple(out)


def check_names(rules: RuleSet, dataset: Dataset, where: str) -> None:
    """`ConfigError` for the first name that the shop does not have, with the nearest known one."""
    found = matched(rules, dataset)
    for one in found:
        if one.unknown:
            more = sum(len(each.unknown) for each in found) - 1
            rest = f"; {more} more unknown name(s): crossaisle rules check lists them all" if more else ""
            raise ConfigError(f"{where}, rule {one.rule.id!r}: {one.unknown[0]}{rest}")


def applicable(rules: RuleSet, dataset: Dataset) -> RuleSet:
    """The rules without names that are unknown in this part of the shop, and without rules that are then
    empty."""
    names = Names(dataset)

    def known(side: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in side if len(_rows(names, (name,), [], [])))

    kept = []
    for rule in rules.rules:
        items, beside = known(rule.items), known(rule.beside)
        if items and (beside or not rule.beside):
            kept.append(replace(rule, items=items, beside=beside))
    return RuleSet(tuple(kept))


def check_changed(before: RuleSet, after: RuleSet, dataset: Dataset) -> None:
    """Runs `check_names` for new and changed rules only: rules made for an earlier catalogue remain valid."""
    known = set(before.rules)
    check_names(RuleSet(tuple(rule for rule in after.rules if rule not in known)), dataset, "rules")


def _rows(names: Names, side: Sequence[str], unknown: list[str], silent: list[str]) -> Rows:
    found = [np.empty(0, np.int32)]
    for name in side:
        words = words_of(name)
        if words is not None:
            rows = names.with_words(words)
            if not len(rows):
                silent.append(name)
        else:
            try:
                rows = names.rows(name)
            except DataError as problem:
                unknown.append(str(problem))
                continue
        found.append(rows)
    return np.unique(np.concatenate(found)).astype(np.int32)
