"""`Merchandising`: a set of rules compiled for one state of a catalogue; `Ruling`: what it says of a request.

A set of rules is a number with one bit per rule. Two tables hold, per item, in which rules it is named, on
either side: which rules a history or a list touches is one OR over some rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from weakref import ref

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.merchandising.matching import Matched, matched
from crossaisle.data.merchandising.rules import ACTIONS, Action, MerchandisingRule, RuleSet, today
from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery
from crossaisle.recommend.rerank.filters import Mask

Table = npt.NDArray[np.uint8]
KEPT = 32
"""Masks and factors that are kept: one for each set of rules that takes items out, or weighs them."""


@dataclass(frozen=True)
class _Active:
    """The rules that hold for a placement on a day, as bits."""

    never: int
    adults_only: int
    only_with: int
    never_with: int
    both: int
    """Of `never_with`: in both directions."""
    pins: int
    weighted: int

    @property
    def any(self) -> int:
        return self.never | self.adults_only | self.only_with | self.never_with | self.pins | self.weighted


class Merchandising:
    """Rules and the rows of one catalogue that they name. Never changed; for any thread."""

    def __init__(
        self,
        rules: RuleSet,
        dataset: Dataset,
        *,
        before: Merchandising | None = None,
        day: Callable[[], date] = today,
    ) -> None:
        """`before`: of an earlier state of the catalogue; what still holds is taken over. `day`: what day it
        is (UTC).
        """
        self.rules, self.day, self._n_items = rules, day, dataset.n_items
        self._named = dataset.item_ids, dataset.taxonomy, dataset.items["title"]
        same = before is not None and before.names_the_same(self)
        self.matched: tuple[Matched, ...] = before.matched if before and same else matched(rules, dataset)
        sides = [one.items for one in self.matched], [one.beside for one in self.matched]
        self._items, self._beside = (_table(side, dataset.n_items) for side in sides)
        self._last: tuple[ref[ResolvedQuery], Placement, bool, date, Ruling | None] | None = None
        self._active: dict[tuple[Placement, date], _Active] = {}
        self._masks: dict[tuple[int, int], Mask] = {}
        self._factors: dict[int, Floats | None] = {}
        self._rows: dict[tuple[int, int], Rows] = {}

    def names_the_same(self, other: Merchandising) -> bool:
        """Whether another one is of the same rules and names: rows are those found here."""
        (ids, taxonomy, titles), (theirs, other_taxonomy, other_titles) = self._named, other._named
        same = self.rules == other.rules and ids is theirs and taxonomy is other_taxonomy
        return same and (titles is other_titles or titles.equals(other_titles))

    def ruling(self, query: Query, request: ResolvedQuery) -> Ruling | None:
        """What the rules say of a request; None where none holds."""
        if not self.rules:
            return None
        last = self._last  # a list asks several times
        if (
            last is not None
            and last[0]() is request
            and last[1:4] == (query.placement, query.adult, self.day())
        ):
            return last[4]
        found = self.of(query.placement, request.view, request.history, adult=query.adult)
        self._last = ref(request), query.placement, query.adult, self.day(), found
        return found

    def of(self, placement: Placement, view: Rows, history: Rows, *, adult: bool = False) -> Ruling | None:
        """What the rules say of a placement beside items in view and a history; None where none holds."""
        active = self._on(placement) if self.rules else None
        if active is None or not active.any:
            return None
        out_items, out_beside = active.never, 0
        if not adult:
            out_items |= active.adults_only
        if active.only_with or active.never_with:
            seen = _bits(self._beside, view)
            out_items |= active.never_with & seen
            out_beside = active.both & _bits(self._items, view) if active.both else 0
            if active.only_with:
                out_items |= active.only_with & ~(seen | _bits(self._beside, history))
        return Ruling(self, active, out_items, out_beside)

    def for_adults(self, *, everywhere: bool = False) -> Mask | None:
        """bool (n_items,): what rules keep for adults today; None where none does. Not to be changed.

        `everywhere`: by rules of all placements only, which hold where there is no placement, too.
        """
        day, bits = self.day(), 0
        for at, rule in enumerate(self.rules.rules):
            holds = rule.action == "adults-only" and rule.state(day) == "holds"
            bits |= (holds and not (everywhere and rule.placements)) << at
        return self.mask(bits, 0) if bits else None

    def lifting(self, query: Query) -> int:
        """The rules that move items in a list, as bits: rankings made under others are of no use."""
        if not self.rules:
            return 0
        active = self._on(query.placement)
        return active.pins | active.weighted

    def _on(self, placement: Placement) -> _Active:
        key = placement, self.day()
        found = self._active.get(key)
        if found is None:
            if len(self._active) >= KEPT:
                self._active = {}  # others may be reading the old one
            found = self._active[key] = self._holding(*key)
        return found

    def _holding(self, placement: Placement, day: date) -> _Active:
        bits: dict[Action, int] = dict.fromkeys(ACTIONS, 0)
        both = 0
        for at, rule in enumerate(self.rules.rules):
            if rule.holds(placement, day):
                bits[rule.action] |= 1 << at
                both |= (rule.action == "never-with" and rule.direction == "both") << at
        return _Active(
            never=bits["never"],
            adults_only=bits["adults-only"],
            only_with=bits["only-with"],
            never_with=bits["never-with"],
            both=both,
            pins=bits["pin"],
            weighted=bits["boost"] | bits["bury"],
        )

    # Rows

    def mask(self, items: int, beside: int) -> Mask:
        """bool (n_items,): named by some rules, on one side or the other. Not to be changed."""
        found = self._masks.get((items, beside))
        if found is None:
            found = np.zeros(self._n_items, bool)
            for at in ones(items):
                found[self.matched[at].items] = True
            for at in ones(beside):
                found[self.matched[at].beside] = True
            if len(self._masks) >= KEPT:
                self._masks = {}
            self._masks[items, beside] = found
        return found

    def factors(self, weighted: int) -> Floats | None:
        """float32 (n_items,): by what boosts and buries multiply a positive score; None without any."""
        if not weighted:
            return None
        if weighted not in self._factors:
            found = np.ones(self._n_items, np.float32)
            for at in ones(weighted):
                found[self.matched[at].items] *= np.float32(self.matched[at].rule.factor)
            if len(self._factors) >= KEPT:
                self._factors = {}
            self._factors[weighted] = found
        return self._factors[weighted]

    def weighed(self, query: Query, scores: Floats, rows: Rows) -> Floats:
        """float32 (n,): as `Ruling.weighed`, for any request of the query's placement."""
        return _weighed(self.factors(self._on(query.placement).weighted), scores, rows)

    def pinned(self, query: Query) -> Rows:
        """int32, ascending: rows that pins name."""
        return self.pinned_rows(self._on(query.placement).pins)

    def lifted(self, query: Query) -> Rows:
        """int32, ascending: rows that a list can hold although their own scores are too low for it."""
        active = self._on(query.placement)
        return np.union1d(self.pinned_rows(active.pins), self.boosted_rows(active.weighted)).astype(np.int32)

    def pinning(self, query: Query) -> list[int]:
        """Numbers of the rules that pin."""
        return list(ones(self._on(query.placement).pins))

    def pinned_rows(self, pins: int) -> Rows:
        """int32, ascending: rows that some pins name."""
        return self._kept_rows(pins, 0, lambda: self.mask(pins, 0))

    def boosted_rows(self, weighted: int) -> Rows:
        """int32, ascending: rows whose scores some boosts and buries raise."""
        factors = self.factors(weighted)
        return NO_ROWS if factors is None else self._kept_rows(0, weighted, lambda: factors > 1.0)

    def _kept_rows(self, pins: int, weighted: int, mask: Callable[[], Mask]) -> Rows:
        found = self._rows.get((pins, weighted))
        if found is None:
            if len(self._rows) >= KEPT:
                self._rows = {}
            found = self._rows[pins, weighted] = np.flatnonzero(mask()).astype(np.int32)
        return found

    def names(self, number: int, rows: Rows) -> Mask:
        """bool (n,): whether a rule names some rows among its items."""
        column, bit = divmod(number, 8)
        found: Mask = (self._items[rows, column] & np.uint8(1 << bit)).astype(bool)
        return found

    def sides(self, rows: Rows, rules: int) -> Iterator[tuple[int, int, int]]:
        """Place, rules that name it among their items, and rules that name it beside them, of the rows that
        some rules name.
        """
        if not rules or not len(rows):
            return
        for at in np.flatnonzero(self.mask(rules, rules)[rows]).tolist():
            row = rows[at]
            yield at, _number(self._items[row]) & rules, _number(self._beside[row]) & rules


@dataclass(frozen=True)
class Ruling:
    """What the rules say of one request."""

    compiled: Merchandising
    active: _Active
    out_items: int
    """Rules that take the items out that they name."""
    out_beside: int
    """Rules in both directions that take the other side out."""

    @property
    def banned(self) -> Mask:
        """bool (n_items,): what may not be shown. Not to be changed."""
        return self.compiled.mask(self.out_items, self.out_beside)

    @property
    def moves(self) -> bool:
        """Whether scores are weighed or places pinned."""
        return bool(self.active.weighted or self.active.pins)

    @property
    def pinned_rows(self) -> Rows:
        """int32, ascending: rows that pins name."""
        return self.compiled.pinned_rows(self.active.pins)

    @property
    def boosted_rows(self) -> Rows:
        """int32, ascending: rows whose scores boosts and buries raise."""
        return self.compiled.boosted_rows(self.active.weighted)

    @property
    def pins(self) -> list[tuple[int, int]]:
        """Place in the list (1 = first) and number of each rule that pins; by place."""
        return sorted((self.rule(number).position or 1, number) for number in ones(self.active.pins))

    def weighed(self, scores: Floats, rows: Rows | slice = slice(None)) -> Floats:
        """float32 (n,): scores of some rows, times the weights of boosts and buries.

        A negative score is divided, so that a boost always helps.
        """
        return _weighed(self.compiled.factors(self.active.weighted), scores, rows)

    def apart(self, rows: Rows, first: Rows) -> Mask:
        """bool (n,): which of some ranked rows stay where `never-with` holds within the list.

        Of the two sides, the one with the better place stays. `first`: rows that are placed already.
        """
        stays = np.ones(len(rows), bool)
        rules = self.active.both
        if not rules:
            return stays
        no_items = no_beside = 0
        for _, items, beside in self.compiled.sides(first, rules):
            no_items, no_beside = no_items | beside, no_beside | items
        for at, items, beside in self.compiled.sides(rows, rules):
            if items & no_items or beside & no_beside:
                stays[at] = False
            else:
                no_items, no_beside = no_items | beside, no_beside | items
        return stays

    def causes(self, rows: Rows) -> dict[int, list[int]]:
        """Number of a rule -> places of the rows that it takes out."""
        out: dict[int, list[int]] = {}
        for at, items, beside in self.compiled.sides(rows, self.out_items | self.out_beside):
            for number in ones((items & self.out_items) | (beside & self.out_beside)):
                out.setdefault(number, []).append(at)
        return out

    def named(self, rows: Rows, rules: int) -> dict[int, list[int]]:
        """Number of a rule -> places of the rows that it names on either side."""
        out: dict[int, list[int]] = {}
        for at, items, beside in self.compiled.sides(rows, rules):
            for number in ones(items | beside):
                out.setdefault(number, []).append(at)
        return out

    def rule(self, number: int) -> MerchandisingRule:
        """A rule by its number."""
        return self.compiled.rules.rules[number]


def _weighed(factors: Floats | None, scores: Floats, rows: Rows | slice) -> Floats:
    if factors is None:
        return scores
    by = factors[rows]
    out: Floats = np.where(scores < 0, scores / by, scores * by).astype(np.float32)
    return out


def ones(bits: int) -> Iterator[int]:
    """The places of the ones in a number, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _table(sides: Sequence[Rows], n_items: int) -> Table:
    """uint8 (n_items, bytes): bit r of a row is set where rule r names the item."""
    out = np.zeros((n_items, (len(sides) + 7) // 8), np.uint8)
    for at, rows in enumerate(sides):
        out[rows, at // 8] |= np.uint8(1 << at % 8)
    return out


def _bits(table: Table, rows: Rows) -> int:
    return _number(np.bitwise_or.reduce(table[rows], axis=0)) if len(rows) else 0


def _number(packed: Table) -> int:
    return int.from_bytes(packed.tobytes(), "little")
