"""The causes of a score: only what really carries it is named. `wording.sentences` puts it in words.

A cause is named where it carries at least a fifth of the score. Where nothing does, nothing is said.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.groups import without_amounts

NAMED = 0.2
"""Share from which on a cause is named."""
MOST = 0.5
"""Share from which on the history as a whole is named, where it goes back to no item and no category."""
LEADING = 0.05
"""Categories of less than `NAMED` are named together from this share each on."""
LIFT = 1.5
"""A link between categories is named from this lift on: below it, people who shop one shop any other. Lifts
are shrunk towards 1; by the 100 users of `CategoryLink`, 1.5 is six standard errors above it."""
SEVERAL = 2
"""At most this many items, and this many categories that carry `NAMED` each, are named."""
TOGETHER = 3
"""At most this many categories are named together."""
SHORTER = 2.0
"""One or two leaf categories are preferred to three categories that carry up to this much more."""
CLAUSES = 3
"""At most this many causes are named."""
_NO_INTEREST = """tobacco cigarette cigarettes cigar cigars lottery lotto coupon coupons voucher vouchers
    deposit deposits donation donations newspaper newspapers ticket tickets 香烟 烟草 彩票 优惠券 报纸"""
NO_INTEREST = frozenset(_NO_INTEREST.split())
"""Words of titles and categories of what says nothing about other products, and is no reason that a shop
would give: smoking, lotteries, newspapers, and lines of the till."""

OFTEN = 4
"""A habit is named from so many days with a purchase on."""
OVERDUE = 2.5
"""And only while the newest purchase is not longer ago than so many of the usual gaps."""

Kind = Literal["before", "namesake", "items", "categories", "history", "popular"]


@dataclass(frozen=True)
class Cause:
    """Something that carries a share of a score."""

    kind: Kind
    """`before`: the user had the item. `namesake`: the user had another one of its name, or it is in view.
    `items`, `categories`: the user had these, or some of these. `history`: the whole history, no part of
    which stands out. `popular`: most other items are bought less."""
    share: float
    """Of the score; where other amounts are below 0, it may be above 1."""
    names: tuple[str, ...] = ()
    in_view: bool = False
    """Whether the items are in view or in the cart, instead of in the user's history."""
    deeds: tuple[int, ...] = ()
    """What was done with each of the named items, or one for all: codes of `data.kinds.ROLES`."""
    every_days: float | None = None
    """Of `before`: days from one purchase of the item to the next, where there is a habit; None: there is
    none."""
    of_family: bool = False
    """Of `popular`: another item of its family is popular, and this one is shown in its place."""


@dataclass(frozen=True)
class Amounts:
    """A score taken apart."""

    rows: Rows
    """int32 (n,): the items of the history, each once."""
    own: npt.NDArray[np.float64]
    """float64 (n,): what each of them adds to the score."""
    by_reason: Mapping[str, npt.NDArray[np.float64]]
    """`own` by the reason that the scorers give for it."""
    in_view: npt.NDArray[np.bool_]
    """bool (n,): items in view."""
    general: Mapping[str, float]
    """reason -> what no item explains."""
    deeds: npt.NDArray[np.int8]
    """int8 (n,): the strongest thing that was done with each, a code of `data.kinds.ROLES`; -1 unknown."""
    shown: Rows
    """int32 (n,): the item that each is called by: a new one, where it stands in for that."""
    popular: bool
    """Whether the item is one of those that are bought most: a high share of what no item explains is not
    enough to say so."""
    name_of: Callable[[int], str] = field(repr=False)
    """What an item row is called."""
    every_days: float | None = None
    """Days from one purchase of the item to the next, where the user has a habit of it."""
    untold: npt.NDArray[np.bool_] | None = None
    """bool (n,): items that no sentence names, such as those for adults; None: none."""

    @property
    def score(self) -> float:
        return float(self.own.sum()) + sum(self.general.values())


def causes_of(dataset: Dataset, amounts: Amounts, item: int) -> tuple[Cause, ...]:
    """What carries the score of an item row: first what is in view, which the list was asked beside, then the
    largest share. Empty where nothing can be named."""
    score = amounts.score
    if not score > 0:
        return ()
    share = amounts.own / score
    title = amounts.name_of(item)
    names = _once_per_group(dataset, amounts.shown, [amounts.name_of(int(row)) for row in amounts.shown])
    # Sizes of one name are one thing to say: "because you bought Soup, 18 oz and Soup, 19 oz" says it twice.
    title, *names = without_amounts(pl.Series([title, *names], dtype=pl.String)).to_list()
    title, bare = title.lower(), [name.lower() for name in names]
    spelt: dict[str, str] = {}
    names = [spelt.setdefault(key, name) for key, name in zip(bare, names, strict=True)]
    same = (amounts.shown == item) & ~amounts.in_view
    had = Cause("before", float(share[same].sum()), deeds=_strongest(amounts, same))
    causes = [replace(had, every_days=amounts.every_days)]
    left = amounts.shown != item
    alike = left & np.array([key == title for key in bare], bool)
    telling = np.array([_is_interest(dataset, int(row)) for row in amounts.shown], bool)
    if amounts.untold is not None:
        telling &= ~amounts.untold
    for in_view in (True, False):
        side = amounts.in_view == in_view
        twins = alike & side
        deeds = () if in_view else _strongest(amounts, twins)
        causes.append(Cause("namesake", float(share[twins].sum()), in_view=in_view, deeds=deeds))
        left &= ~twins
        causes += _single(amounts, names, share, left & side & telling, left, in_view=in_view)
    # Categories and all together: of what was not named, and not of a cart, which is short.
    left &= ~amounts.in_view
    spoken = {
        title,
        amounts.name_of(item).casefold(),
        *(name.casefold() for cause in causes for name in cause.names),
    }
    causes += _of_categories(dataset, amounts, share, left, left & telling, spoken)
    if amounts.popular:
        causes.append(Cause("popular", amounts.general.get("popular", 0.0) / score))
    found = [cause for cause in causes if cause.share >= NAMED]
    together = float(share[left].sum())
    if together >= MOST and not any(cause.share >= together for cause in found):
        found.append(Cause("history", together, deeds=_common(amounts, left)))
    found.sort(key=lambda cause: (not cause.in_view, -cause.share))
    before = np.cumsum([0.0, *(cause.share for cause in found)])
    # Once the whole score is accounted for, what follows is balanced by amounts below 0.
    return tuple(cause for cause, told in zip(found[:CLAUSES], before, strict=False) if told < 1.0)


def _once_per_group(dataset: Dataset, rows: Rows, names: list[str]) -> list[str]:
    """Names of item rows; those of one group are called as its first one."""
    if "group" not in dataset.items.columns:
        return names
    first: dict[str, str] = {}
    groups = dataset.items["group"].gather(rows).to_list()
    return [
        first.setdefault(group, name) if group else name for group, name in zip(groups, names, strict=True)
    ]


def _single(
    amounts: Amounts,
    names: Sequence[str],
    share: npt.NDArray[np.float64],
    side: npt.NDArray[np.bool_],
    left: npt.NDArray[np.bool_],
    *,
    in_view: bool,
) -> list[Cause]:
    """Items by name (sizes and brands of one name count together); what is named is struck from `left`."""
    named = _largest([name if s else "" for name, s in zip(names, side, strict=True)], share, NAMED, SEVERAL)
    if not named:
        return []
    left &= ~(side & np.array([name in named for name in names], bool))
    done = [_strongest(amounts, side & np.array([name == each for name in names], bool)) for each in named]
    return [Cause("items", sum(named.values()), tuple(named), in_view, tuple(deed for (deed,) in done))]


def _strongest(amounts: Amounts, among: npt.NDArray[np.bool_]) -> tuple[int]:
    """The strongest thing that was done with some of the items."""
    return (int(amounts.deeds[among].max(initial=-1)),)


def _common(amounts: Amounts, among: npt.NDArray[np.bool_]) -> tuple[int]:
    """What was done with all of some items; -1 where that differs."""
    done = np.unique(amounts.deeds[among])
    return (int(done[0]) if len(done) == 1 else -1,)


def _of_categories(
    dataset: Dataset,
    amounts: Amounts,
    share: npt.NDArray[np.float64],
    left: npt.NDArray[np.bool_],
    side: npt.NDArray[np.bool_],
    spoken: Collection[str],
) -> list[Cause]:
    """Categories of the items at `side`; what is named is struck from `left`.

    None that is called as an item that is named already, or as the item itself (`spoken`, case-folded): the
    sentence would say one thing twice.

    Of a category with one item the item would have been named. Leaf categories that carry `NAMED` each,
    or the largest categories of the shop's level that do so together: whatever says more of the score.
    """
    found: list[tuple[float, dict[str, float], npt.NDArray[np.bool_]]] = []
    for depth, least, most in ((-1, NAMED, SEVERAL), (dataset.taxonomy.level, LEADING, TOGETHER)):
        of_row = [_category(dataset, int(row), depth) for row in amounts.shown]
        usable = [
            name if s and name.casefold() not in spoken else "" for name, s in zip(of_row, side, strict=True)
        ]
        several = {name for name, items in Counter(usable).items() if items > 1}
        usable = [name if name in several else "" for name in usable]
        named = _largest(usable, share, least, most)
        total = sum(named.values())
        if total >= NAMED:
            members = np.array([name in named for name in usable], bool)
            found.append((total * (SHORTER if depth == -1 else 1.0), named, members))
    if not found:
        return []
    _, named, members = max(found, key=lambda one: one[0])
    left &= ~members
    return [Cause("categories", sum(named.values()), tuple(named), deeds=_common(amounts, members))]


def _largest(
    groups: Sequence[str], share: npt.NDArray[np.float64], least: float, number: int
) -> dict[str, float]:
    """name -> share of the largest groups, up to `number`, those of at least `least`; "" is no group."""
    total: dict[str, float] = defaultdict(float)
    for name, amount in zip(groups, share.tolist(), strict=True):
        if name:
            total[name] += amount
    most = sorted(total, key=lambda name: (-total[name], name))[:number]
    return {name: total[name] for name in most if total[name] >= least}


def _is_interest(dataset: Dataset, row: int) -> bool:
    """Whether an item is one that others can be recommended by."""
    paths = dataset.taxonomy.paths[row]
    texts = (str(dataset.items["title"][row]), *(paths[0] if paths else ()))
    return not any(word in NO_INTEREST for text in texts for word in re.findall(r"\w+", text.lower()))


def _category(dataset: Dataset, row: int, depth: int) -> str:
    """The name of an item's category at a depth, "" where its path does not reach it."""
    paths = dataset.taxonomy.paths[row]
    if not paths or depth >= len(paths[0]):
        return ""
    return paths[0][depth]
