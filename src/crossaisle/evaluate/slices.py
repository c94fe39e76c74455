"""Slices: which targets count, and among which candidates they are ranked.

A slice that is not `all` or `cold_*` speaks about the history, so only cases with a history are in it.

| slice | targets | candidates |
|---|---|---|
| `all` | every target | the open list |
| `same_open` | category of the last item of the history | the open list |
| `cross_open`, `cross_limited` | another category than that | open; other categories only |
| `novel_open`, `novel_limited` | a category that is not in the history | open; such categories only |
| `cross_leaf_*`, `novel_leaf_*` | the same at the deepest level | |
| `repeat`, `new_item` | items in, not in the history | open; items not in the history |
| `new_category` | `novel_limited` under the name that shops use | |
| `cold_item` | items without a training event | the open list |
| `cold_user` | cases without a history | the open list |

The open list is every item of the shop, less the history where `EvalCases.mask_seen`, less the query's
categories where `EvalCases.other_categories_only` (then `cross_limited` is `all` under another name).
Targets outside a slice stay in its list, as competitors. An item of unknown category is never
cross or novel, neither as a target nor as a limited candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows

Mask = npt.NDArray[np.bool_]
Limit = Literal["open", "unseen", "other", "new", "other_leaf", "new_leaf"]
"""A restriction of the candidates: none; items not in the history; categories other than the last
item's; categories not in the history; the same two at the leaf."""
LEAF = -1


@dataclass(frozen=True)
class Slice:
    """One view on the cases. `targets` bool (nnz,): which entries of `EvalCases.target` count."""

    name: str
    targets: Mask
    limit: Limit = "open"


def slices_of(cases: EvalCases, taxonomy: Taxonomy, train_counts: npt.NDArray[np.integer]) -> list[Slice]:
    """Every slice that makes sense for these cases; `train_counts` (n_items,): training events per item."""
    owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
    everything = np.ones(len(cases.target), bool)
    slices = [Slice("all", everything)]
    if cases.other_categories_only:
        slices.append(Slice("cross_limited", everything))
    else:
        slices += _category_slices(cases, owner, taxonomy.codes(), "")
        if not np.array_equal(taxonomy.codes(), taxonomy.codes(LEAF)):
            slices += _category_slices(cases, owner, taxonomy.codes(LEAF), "_leaf")
    if not cases.mask_seen:
        seen = _seen(cases, owner)
        known = cases.histories.lengths[owner] > 0
        novel = next((s for s in slices if s.name == "novel_limited"), None)
        slices.append(Slice("new_item", ~seen & known, "unseen"))
        if novel is not None:
            slices.append(Slice("new_category", novel.targets, novel.limit))
        slices.append(Slice("repeat", seen))
    slices.append(Slice("cold_item", train_counts[cases.target] == 0))
    slices.append(Slice("cold_user", cases.histories.lengths[owner] == 0))
    return slices


def _category_slices(
    cases: EvalCases, owner: npt.NDArray[np.int64], category: Rows, suffix: Literal["", "_leaf"]
) -> list[Slice]:
    last = cases.histories.last_item[owner]
    last_category = np.where(last >= 0, category[last], -1)
    target = category[cases.target]
    known = (last_category >= 0) & (target >= 0)
    cross = known & (target != last_category)
    had = category[cases.histories.item]
    n = int(category.max(initial=0)) + 1
    in_history = is_in(owner * n + target, (cases.histories.owner * n + had)[had >= 0])
    novel = (target >= 0) & ~in_history & (cases.histories.lengths[owner] > 0)
    same = [] if suffix else [Slice("same_open", known & ~cross)]
    return [
        *same,
        Slice(f"cross{suffix}_open", cross),
        Slice(f"cross{suffix}_limited", cross, "other_leaf" if suffix else "other"),
        Slice(f"novel{suffix}_open", novel),
        Slice(f"novel{suffix}_limited", novel, "new_leaf" if suffix else "new"),
    ]


def _seen(cases: EvalCases, owner: npt.NDArray[np.int64]) -> Mask:
    n = int(max(cases.target.max(initial=0), cases.histories.item.max(initial=0))) + 1
    return is_in(owner * n + cases.target, cases.histories.owner * n + cases.histories.item)
