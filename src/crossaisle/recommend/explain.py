"""Why an item is recommended: the score taken apart into the user's own items, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Histories
from crossaisle.data.kinds import PURCHASE
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.query import Placement
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.models.blend import Part
from crossaisle.models.disapproval import REASON as DISAPPROVED
from crossaisle.recommend.reasons import (
    LIFT,
    NAMED,
    OFTEN,
    OVERDUE,
    Amounts,
    Cause,
    causes_of,
)
from crossaisle.recommend.wording.names import item_name, pairing, short_names, told
from crossaisle.recommend.wording.sentences import sentence
from crossaisle.recommend.wording.shared_words import (
    WORDS,
    once,
    shared_brand,
    shared_shelf,
    shared_words,
)

TOP = 3
"""This many items of the history are named; the rest adds up in `other`."""
Mask = npt.NDArray[np.bool_]
StandIn = tuple[int, float]
"""An item row, and how much of its score another item gets."""


@runtime_checkable
class LinksCategories(Protocol):
    """A model of which category follows which."""

    def category_link(self, source: int, target: int) -> tuple[str, str, float] | None:
        """The categories of two item rows and the lift between them; None where there is no link."""
        ...


@runtime_checkable
class KnowsRules(Protocol):
    """A model of rules that people wrote."""

    def rule_between(self, source: int, target: int) -> Rule | None:
        """The rule that counts for two item rows; None where there is none."""
        ...


@runtime_checkable
class _Decays(Protocol):
    decay: Decay


@dataclass(frozen=True)
class Contribution:
    """What one item of the history (or, where `item_id` is None, none of them) adds to a score."""

    item_id: str | None
    name: str
    amount: float
    reasons: dict[str, float]
    """The amount by reason: "bought together", "shared words", "category link", "bought before",
    "popular"."""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class CategoryLink:
    """Two categories that `lift` times as many people shop as expected by chance."""

    source: str
    target: str
    lift: float


@dataclass(frozen=True)
class Paired:
    """A line of a knowledge file that accounts for an item."""

    names: tuple[str, ...]
    """Names of both sides: categories by their last names, items by their titles. A staple has only one."""
    reason: str
    """As the file has it, "" for none."""


@dataclass(frozen=True)
class Explanation:
    """The amounts of `contributions` and `other` add up to `score`, the score of the blend.

    Where a ranker was learned for the placement, it decides the item's place in the list.
    """

    item_id: str
    score: float
    contributions: tuple[Contribution, ...]
    """Named items of the history, the largest first, then what belongs to no item."""
    other: float
    """The rest of the history together."""
    link: CategoryLink | None
    text: str
    """One sentence of the causes; "" where nothing carries enough of the score to be called the reason."""
    causes: tuple[Cause, ...] = ()
    """What carries at least a fifth of the score each: what is in view first, then the largest."""
    knowledge: str | None = None
    """In words, the line of the knowledge file that accounts for the item; None without one."""
    paired: Paired | None = None
    """The same line in parts, for other languages."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def explain(
    dataset: Dataset,
    parts: Sequence[Part],
    histories: Histories,
    item: int,
    placement: Placement = "for_you",
    *,
    stand_ins: Sequence[StandIn] | None = None,
    known_as: Mapping[int, int] | None = None,
    popular: bool = False,
    lost: float = 0.0,
    untold: Mask | None = None,
) -> Explanation:
    """Splits the score of an item row, for a batch of one history, into contributions.

    `stand_ins`: the rows whose scores make up that of a new item, the most similar first; words are those
    that the first of them shares. `known_as`: item row -> the row of `dataset` that it is named by, for items
    of the history that others stand in for. `popular`: the item is one of those that are bought most.
    `lost`: the share of a score above 0 that the item loses, see `models.disapproval`. `untold` bool
    (n_items,): items that the sentence does not name, whatever they carry.
    """
    called = known_as or {}

    def shown(row: int) -> int:
        return called.get(row, row)

    hidden = np.zeros(dataset.n_items, bool) if untold is None else untold
    lenders = [(item, 1.0)] if stand_ins is None else stand_ins
    nearest = lenders[0][0]
    rows, index = np.unique(histories.item, return_inverse=True)
    by_reason: dict[str, npt.NDArray[np.float64]] = {}  # (rows,): what the events of each item give
    heard: dict[str, npt.NDArray[np.bool_]] = {}
    general: dict[str, float] = defaultdict(float)
    strongest: list[tuple[float, LinksCategories, int]] = []
    rules: list[tuple[float, Rule]] = []
    for scorer, weight in parts:
        given, rest = np.zeros(len(index)), 0.0
        for row, share in lenders:
            events, more = scorer.evidence(histories, row)
            given += events.astype(np.float64) * (weight * share)
            rest += more * share
        reason = _worded(scorer.reason, dataset)
        np.add.at(by_reason.setdefault(reason, np.zeros(len(rows))), index, given)
        heard.setdefault(reason, np.zeros(len(rows), bool))[index[given != 0]] = True
        if rest:
            general[scorer.rest_reason or reason] += rest * weight
        model, best = scorer.plain, _best(given)
        if best < 0 or hidden[shown(source := int(histories.item[best]))]:
            continue
        if isinstance(model, LinksCategories):
            strongest.append((float(given[best]), model, source))
        if isinstance(model, KnowsRules):
            rule = model.rule_between(source, nearest)
            rules += [] if rule is None else [(float(given.sum()), rule)]
    totals = np.sum(list(by_reason.values()), axis=0, initial=0.0) if by_reason else np.zeros(len(rows))
    ranked = np.lexsort((rows, -totals))
    named = [at for at in ranked[:TOP].tolist() if totals[at] > 0]
    own = [
        Contribution(
            dataset.item_ids.id(shown(row)),
            item_name(dataset, shown(row)),
            float(totals[at]),
            {reason: float(part[at]) for reason, part in by_reason.items() if heard[reason][at]},
            # The words of a stand-in are not those of a new item that it stands in for.
            shared_words(dataset, parts, row, nearest) if shown(row) == row and nearest == item else (),
        )
        for at, row in zip(named, rows[named].tolist(), strict=True)
    ]
    whole = float(totals.sum()) + sum(general.values())
    taken = {DISAPPROVED: -lost * whole} if lost and whole > 0 else {}
    rest_of = [
        Contribution(None, reason, amount, {reason: amount}) for reason, amount in (general | taken).items()
    ]
    link = None
    if strongest:
        _, linker, source = max(strongest, key=lambda strong: strong[0])
        linked = linker.category_link(source, nearest)
        link = CategoryLink(*linked) if linked else None
    # Of a known user with a cart, the history is asked, too: that is not what the item goes with.
    in_view = histories.view_mask
    if histories.in_view is None and placement in ("goes_with", "similar"):
        in_view = np.ones(len(histories.item), bool)
    names = np.array([shown(row) for row in rows.tolist()], np.int32)
    amounts = Amounts(
        rows.astype(np.int32),
        totals,
        by_reason,
        np.isin(rows, histories.item[in_view]),
        general,
        _deeds(dataset, histories, index),
        names,
        popular,
        lambda row: item_name(dataset, row),
        _every(dataset, histories, item),
        hidden[names],
    )
    # What others think takes the same share of every cause: what carries the item stays what it was.
    causes, score = causes_of(dataset, amounts, item), amounts.score + sum(taken.values())
    sources = {int(rows[at]): shown(int(rows[at])) for at in named}
    carried, rule = max(rules, key=lambda one: one[0], default=(0.0, None))
    in_words = _in_words(causes, own, amounts)
    words = once([word for one in in_words for word in one.words])[:WORDS]
    brand = shared_brand(dataset, parts, nearest, sources) if in_words else ""
    return Explanation(
        item_id=dataset.item_ids.id(item),
        score=score,
        contributions=(*own, *rest_of),
        other=float(totals[ranked[len(named) :]].sum()),
        link=link,
        text=sentence(
            causes,
            placement,
            words=words,
            brand=brand,
            shelf=_shelf(dataset, item, in_words, causes) if nearest == item and not (words or brand) else "",
            link=_link_of(link, amounts),
            known=_told(dataset, rule, causes) if carried >= NAMED * amounts.score else None,
        ),
        causes=causes,
        knowledge=None if rule is None else told(dataset, rule),
        paired=None if rule is None else Paired(pairing(dataset, rule), rule.reason),
    )


def _best(given: npt.NDArray[np.float64]) -> int:
    """The event that gives most; -1 where none gives anything."""
    return int(given.argmax()) if given.max(initial=0.0) > 0 else -1


def _told(dataset: Dataset, rule: Rule | None, causes: Sequence[Cause]) -> str | None:
    """A rule as the sentence says it: that it goes with it is said already where an item in view is named,
    and that something goes with its own kind says nothing."""
    if rule is None or (not rule.reason and rule.source == rule.target):
        return None
    if not rule.reason and any(cause.kind == "items" and cause.in_view for cause in causes):
        return None
    return told(dataset, rule)


def _worded(reason: str, dataset: Dataset) -> str:
    """What a reason is called: "bought" only where all events are purchases."""
    return reason if dataset.role == PURCHASE else reason.replace("bought", "chosen")


def _deeds(dataset: Dataset, histories: Histories, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """int8: the strongest thing done with each item. `index` int64 (nnz,): the item of each event."""
    out = np.full(int(index.max(initial=-1)) + 1, dataset.role, np.int8)
    if histories.role is not None:
        out[:] = -1
        np.maximum.at(out, index, histories.role)
    return out


def _every(dataset: Dataset, histories: Histories, item: int) -> float | None:
    """Days between purchases of an item row, where there are enough, and none is long overdue."""
    role = dataset.role if histories.role is None else histories.role
    own = (histories.item == item) & ~histories.view_mask & (np.asarray(role) == PURCHASE)
    days = np.unique(np.floor(histories.day[own]))
    if len(days) < OFTEN or np.isnan(days).any():
        return None
    gap = float(days[-1] - days[0]) / (len(days) - 1)
    return None if float(histories.now[0]) - days[-1] > OVERDUE * gap else gap


def _in_words(causes: Sequence[Cause], own: Sequence[Contribution], amounts: Amounts) -> list[Contribution]:
    """The named items, where the words that they share carry enough of the score; else none."""
    named = {name.casefold() for cause in causes if cause.kind == "items" for name in cause.names}
    short = short_names(*(one.name for one in own))
    found = [one for one, name in zip(own, short, strict=True) if name.casefold() in named]
    shared = sum(one.reasons.get("shared words", 0.0) for one in found)
    return found if shared >= NAMED * amounts.score else []


def _shelf(dataset: Dataset, item: int, named: Sequence[Contribution], causes: Sequence[Cause]) -> str:
    """The category that an item shares with those that are named, unless it is called as one of them is."""
    rows = [dataset.item_ids.row(one.item_id) for one in named]
    shelf = shared_shelf(dataset, item, rows)
    names = [*short_names(item_name(dataset, item)), *(name for cause in causes for name in cause.names)]
    return "" if shelf.casefold() in map(str.casefold, names) else shelf


def _link_of(link: CategoryLink | None, amounts: Amounts) -> tuple[str, str] | None:
    """The categories of a link that is more than chance and carries enough of the score."""
    carried = amounts.by_reason.get("category link")
    if link is None or carried is None or link.lift < LIFT or carried.sum() < NAMED * amounts.score:
        return None
    ends = [path.split(SEPARATOR)[-1] for path in (link.source, link.target)]
    # "Drinks" and "Drinks" of two departments have to be told apart.
    return (link.source, link.target) if ends[0] == ends[1] else (ends[0], ends[1])


def as_new(explanation: Explanation, like: str) -> Explanation:
    """Of an item that is lent the score of one called `like`, which is named unless the sentence does so.

    `like`: "" for one that is not to be named.
    """
    [like] = short_names(like)
    said = not like or any(
        like.casefold() == name.casefold() for cause in explanation.causes for name in cause.names
    )
    return replace(
        explanation, text=f"New{'' if said else f', and similar to {like}'}. {explanation.text}".rstrip()
    )


@dataclass(frozen=True)
class Deletion:
    """What an item of the history was said to give, and what the score loses without it."""

    claimed: float
    lost: float
    exact: bool
    """The two must agree. Not where a part decays by order and older events move up into the gap."""


def check_by_deletion(parts: Sequence[Part], histories: Histories, item: int, source: int) -> Deletion:
    """Removes every event of item row `source` from a batch of one history and scores again."""
    gone = histories.item == source
    claimed = sum(
        float(scorer.evidence(histories, item)[0][gone].sum(dtype=np.float64)) * weight
        for scorer, weight in parts
    )
    without = histories.keep(~gone)
    moves_up = bool(gone.any()) and bool((~gone[: int(np.flatnonzero(gone)[-1])]).any())
    by_order = any(isinstance(s, _Decays) and s.decay.events is not None for s, _ in parts)
    return Deletion(
        claimed,
        _total(parts, histories, item) - _total(parts, without, item),
        exact=not (moves_up and by_order),
    )


def _total(parts: Iterable[Part], histories: Histories, item: int) -> float:
    return sum(float(np.nan_to_num(scorer.score_rows(histories)[0, item])) * w for scorer, w in parts)
