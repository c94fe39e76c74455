"""Why an item is recommended: the score taken apart into the user's own items, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Histories
from crossaisle.data.query import Placement
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.models.base import Scorer

TOP = 3
"""This many items of the history are named; the rest adds up in `other`."""
WORDS = 3
"""This many shared words are named per item."""

Part = tuple[Scorer, float]
"""A scorer of a blend and its weight."""


@runtime_checkable
class SharesWords(Protocol):
    """A model over texts that can name the words two items have in common."""

    def shared_words(self, left: int, right: int) -> list[tuple[str, float]]:
        """Words and their share of the similarity of two item rows, largest first."""
        ...


@runtime_checkable
class LinksCategories(Protocol):
    """A model of which category follows which."""

    def category_link(self, source: int, target: int) -> tuple[str, str, float] | None:
        """The categories of two item rows and the lift between them; None where there is no link."""
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
    """People who shop in one category go on to another `lift` times as often as people do anyway."""

    source: str
    target: str
    lift: float


@dataclass(frozen=True)
class Explanation:
    """The amounts of `contributions` and `other` add up to `score`, which is the blend's.

    Where a ranker was learned for the placement, an item's place in the list is the ranker's.
    """

    item_id: str
    score: float
    contributions: tuple[Contribution, ...]
    """Named items of the history, the largest first, then what belongs to no item."""
    other: float
    """The rest of the history together."""
    link: CategoryLink | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def explain(
    dataset: Dataset,
    parts: Sequence[Part],
    histories: Histories,
    item: int,
    placement: Placement = "for_you",
) -> Explanation:
    """Splits the score of an item row, for a batch of one history, into contributions."""
    rows, index = np.unique(histories.item, return_inverse=True)
    by_reason: dict[str, npt.NDArray[np.float64]] = {}  # (rows,): what the events of each item give
    heard: dict[str, npt.NDArray[np.bool_]] = {}
    general: dict[str, float] = defaultdict(float)
    strongest: list[tuple[float, LinksCategories, int]] = []
    for scorer, weight in parts:
        events, rest = scorer.evidence(histories, item)
        amounts = events.astype(np.float64) * weight
        np.add.at(by_reason.setdefault(scorer.reason, np.zeros(len(rows))), index, amounts)
        heard.setdefault(scorer.reason, np.zeros(len(rows), bool))[index[amounts != 0]] = True
        if rest:
            general[scorer.rest_reason or scorer.reason] += rest * weight
        model = scorer.plain
        if isinstance(model, LinksCategories) and amounts.max(initial=0.0) > 0:
            best = int(amounts.argmax())
            strongest.append((float(amounts[best]), model, int(histories.item[best])))
    totals = np.sum(list(by_reason.values()), axis=0, initial=0.0) if by_reason else np.zeros(len(rows))
    ranked = np.lexsort((rows, -totals))
    named = [at for at in ranked[:TOP].tolist() if totals[at] > 0]
    own = [
        Contribution(
            dataset.item_ids.id(int(rows[at])),
            item_name(dataset, int(rows[at])),
            float(totals[at]),
            {reason: float(amounts[at]) for reason, amounts in by_reason.items() if heard[reason][at]},
            _words(parts, int(rows[at]), item),
        )
        for at in named
    ]
    # Of a known user with a cart, the history is asked, too: that is not what the item goes with.
    in_view = np.ones(len(histories.item), bool) if histories.in_view is None else histories.in_view
    beside = {dataset.item_ids.id(int(row)) for row in np.unique(histories.item[in_view])}
    rest_of = [Contribution(None, reason, amount, {reason: amount}) for reason, amount in general.items()]
    link = None
    if strongest:
        _, linker, source = max(strongest, key=lambda strong: strong[0])
        linked = linker.category_link(source, item)
        link = CategoryLink(*linked) if linked else None
    score = float(totals.sum()) + sum(general.values())
    return Explanation(
        item_id=dataset.item_ids.id(item),
        score=score,
        contributions=(*own, *rest_of),
        other=float(totals[ranked[len(named) :]].sum()),
        link=link,
        text=_sentence(dataset.item_ids.id(item), own, beside, general, link, score, placement),
    )


def _words(parts: Sequence[Part], source: int, item: int) -> tuple[str, ...]:
    shared: dict[str, float] = defaultdict(float)
    for scorer, weight in parts:
        model = scorer.plain
        if isinstance(model, SharesWords) and weight > 0:
            for word, share in model.shared_words(source, item):
                shared[word] += share * weight
    return tuple(sorted(shared, key=lambda word: (-shared[word], word))[:WORDS])


_OPENING: dict[Placement, str] = {"goes_with": "goes with", "similar": "similar to"}


def _sentence(
    item: str,
    own: Sequence[Contribution],
    beside: Collection[str | None],
    general: dict[str, float],
    link: CategoryLink | None,
    score: float,
    placement: Placement,
) -> str:
    clauses = []
    if any(c.item_id == item for c in own):
        clauses.append("you bought it before")
    distinct: dict[str, Contribution] = {}
    for c in own:
        if c.item_id != item:
            distinct.setdefault(c.name, c)  # products of one name (sizes, brands) are named once
    named = list(distinct.values())[:2]
    opening = _OPENING.get(placement)
    in_view = [c.name for c in named if opening and c.item_id in beside]
    bought = [c.name for c in named if not opening or c.item_id not in beside]
    if in_view:
        clauses.append(f"{opening} {' and '.join(in_view)}")
    if bought:
        clauses.append(f"because you bought {' and '.join(bought)}")
    words = list(dict.fromkeys(word for c in own if c.item_id != item for word in c.words))[:WORDS]
    if words:
        clauses.append(f"shares the words {', '.join(words)}")
    if link and link.lift > 1.0:
        clauses.append(f"people who shop {link.source} often go on to {link.target}")
    popular = general.get("popular", 0.0)
    if popular > 0 and (popular >= 0.5 * score or not clauses):
        clauses.append("popular with other shoppers")
    if not clauses:
        return "No single reason stands out."
    text = "; ".join(clauses)
    return text[0].upper() + text[1:] + "."


def item_name(dataset: Dataset, row: int) -> str:
    """What to call an item: its title, else brand and deepest category, else its id."""
    title, brand = dataset.items["title"][row], dataset.items["brand"][row]
    if title:
        return str(title)
    paths = dataset.taxonomy.paths[row]
    words = [w for w in (brand, paths[0][-1] if paths else "") if w]
    return " ".join(words) or dataset.item_ids.id(row)


def category_name(dataset: Dataset, row: int) -> str:
    """The primary category path of an item as text, "" where unknown."""
    paths = dataset.taxonomy.paths[row]
    return SEPARATOR.join(paths[0]) if paths else ""


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
