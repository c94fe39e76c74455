"""`ruled_list`: a list under rules beside the one without, what each rule did, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.data.merchandising.rules import MerchandisingRule
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.merchandising.compiled import Ruling
from crossaisle.recommend.rerank.arrange import relevance_kept
from crossaisle.recommend.rerank.quota import Index


class Ranked(NamedTuple):
    """Candidates of a list, best first."""

    rows: Rows
    """int32 (n,)"""
    scores: Floats
    """float32 (n,): of the model; NaN where it has none."""
    keys: Floats
    """float32 (n,): what they are ranked by: scores, weighed by rules."""

    def take(self, at: np.ndarray) -> Ranked:
        """Some of them."""
        return Ranked(self.rows[at], self.scores[at], self.keys[at])

    def and_more(self, others: Ranked) -> Ranked:
        """These, then others."""
        rows = np.concatenate([self.rows, others.rows])
        scores, keys = np.concatenate([self.scores, others.scores]), np.concatenate([self.keys, others.keys])
        return Ranked(rows, scores, keys)


FIRST = 10
"""Lists' worth of candidates that are tried first: lists are made twice."""
NOTHING = Ranked(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
Arrange = Callable[[Rows, Floats, Rows], tuple[Index, bool]]
"""Ranked rows, what they are ranked by, and rows that have a place already -> indices of the list, and
whether candidates of lower rank could not change it."""


@dataclass(frozen=True)
class RuledList:
    """A list that was made under rules."""

    rows: Rows
    """int32 (n,): in order."""
    scores: Floats
    """float32 (n,): of the model."""
    relevance_kept: float | None
    """As of a list without rules: what its other controls leave of the candidates that rules leave."""
    applied: tuple[tuple[MerchandisingRule, Rows], ...]
    """Rules that changed the page, and the items that each took out or moved."""
    cost: float | None
    """Share of the sum of scores that the list loses beside the one without rules; None where that sum is not
    positive."""
    exact: bool
    """Whether candidates of lower rank could not change it."""

    @property
    def ranking(self) -> tuple[Rows, Floats, Index]:
        """Rows, their scores, and the places of the list in both: all of them."""
        return self.rows, self.scores, np.arange(len(self.rows))

    @property
    def pinned(self) -> Rows:
        """int32: what rules gave a place on the page."""
        moved = [rows for rule, rows in self.applied if rule.action == "pin"]
        return np.concatenate([NOTHING.rows, *moved])


def ruled_list(
    ruling: Ruling, query: Query, arrange: Arrange, plain: Ranked, free: Ranked, pinned: Ranked
) -> RuledList:
    """The list of a query. `plain`: candidates if there were no rules. `free`: those that no rule takes out,
    ranked by weighed scores. `pinned`: those of them that pins name, in any order; they may lack a score.
    """
    before, exact = _arranged(arrange, query, plain, NOTHING.rows)
    shown = plain.take(before)
    if not ruling.moves and exact and _unchanged(ruling, query, plain, before):
        kept = relevance_kept(plain.keys, before)
        return RuledList(shown.rows, shown.scores, kept, (), _cost(shown.scores, shown.scores), True)
    places = _places(ruling, pinned)
    fixed = pinned.take(np.array([at for _, _, at in places], np.int64))
    together = ruling.apart(free.rows, fixed.rows)
    stays = together.copy()
    for row in fixed.rows.tolist():
        stays &= free.rows != row
    left = free.take(stays)
    chosen, whole = _arranged(arrange, query, left, fixed.rows)
    every = left.and_more(_scored(fixed, left))
    order = chosen.tolist()
    for at, (place, _, _) in enumerate(places):
        order.insert(min(place - 1, len(order)), len(left.rows) + at)
    made = every.take(np.array(order[: query.depth], np.int64))
    pins = {int(fixed.rows[at]): number for at, (_, number, _) in enumerate(places)}
    return RuledList(
        made.rows,
        made.scores,
        relevance_kept(left.keys, chosen),
        _applied(ruling, query, shown.rows, made.rows, free.rows[~together], pins),
        _cost(made.scores, shown.scores),
        exact and whole,
    )


def _arranged(arrange: Arrange, query: Query, some: Ranked, placed: Rows) -> tuple[Index, bool]:
    """The list out of the first few candidates, where more could not change it; else out of all."""
    first = FIRST * query.depth
    if not query.reorders and first < len(some.rows):
        chosen, exact = arrange(some.rows[:first], some.keys[:first], placed)
        if exact:
            return chosen, True
    return arrange(some.rows, some.keys, placed)


def _unchanged(ruling: Ruling, query: Query, plain: Ranked, chosen: Index) -> bool:
    """Whether rules that only take items out leave a list as it is."""
    banned = ruling.banned
    if query.reorders or query.cross_share is not None or banned[plain.rows[chosen]].any():
        return False  # what is not chosen may decide what is
    above = plain.rows[: int(chosen.max(initial=-1)) + 1]
    return bool(ruling.apart(above[~banned[above]], NOTHING.rows).all())


def _places(ruling: Ruling, pinned: Ranked) -> list[tuple[int, int, int]]:
    """Place, number of the rule, and index of the candidate, of each pin that has one; by place."""
    found: list[tuple[int, int, int]] = []
    if not len(pinned.rows):
        return found
    order = np.lexsort((pinned.rows, -np.nan_to_num(pinned.keys, nan=-np.inf)))
    taken: list[int] = []
    for place, number in ruling.pins:
        for at in order[ruling.compiled.names(number, pinned.rows[order])].tolist():
            if at not in taken and (not taken or ruling.apart(pinned.rows[[at]], pinned.rows[taken]).all()):
                taken.append(at)
                found.append((place, number, at))
                break
    return found


def _scored(fixed: Ranked, left: Ranked) -> Ranked:
    """Pinned items that no model can score have the lowest score of the list."""
    lowest = left.scores.min(initial=0.0)
    return Ranked(fixed.rows, np.nan_to_num(fixed.scores, nan=lowest), np.nan_to_num(fixed.keys, nan=lowest))


def _cost(scores: Floats, without: Floats) -> float | None:
    best = float(without.sum(dtype=np.float64))
    return 1.0 - float(scores.sum(dtype=np.float64)) / best if best > 0 else None


def _applied(
    ruling: Ruling, query: Query, before: Rows, after: Rows, dropped: Rows, pins: dict[int, int]
) -> tuple[tuple[MerchandisingRule, Rows], ...]:
    """`before`, `after`: rows of the list without rules and with them."""
    page = slice(query.offset, query.depth)
    found: dict[int, list[int]] = {}
    for number, places in ruling.causes(before[page]).items():
        found.setdefault(number, []).extend(before[page][places].tolist())
    gone = before[page][np.isin(before[page], dropped)] if len(dropped) else dropped
    if len(gone):
        present = ruling.named(after, ruling.active.both)
        for number, places in ruling.named(gone, ruling.active.both).items():
            if number in present:
                found.setdefault(number, []).extend(gone[places].tolist())
    for row in after[page].tolist():
        if row in pins:
            found.setdefault(pins[row], []).append(row)
    was = {row: at for at, row in enumerate(before.tolist())}
    now = {row: at for at, row in enumerate(after.tolist())}
    both = np.array(list(dict.fromkeys([*before[page].tolist(), *after[page].tolist()])), np.int32)
    for number, places in ruling.named(both, ruling.active.weighted).items():
        up = ruling.rule(number).factor > 1.0
        for row in both[places].tolist():
            old, new = was.get(row, len(was)), now.get(row, len(now))
            if row not in pins and (new < old if up else new > old):
                found.setdefault(number, []).append(row)
    return tuple((ruling.rule(number), np.array(found[number], np.int32)) for number in sorted(found))
