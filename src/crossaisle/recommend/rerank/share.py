"""How much of a list comes from outside the categories a user is at home in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.quota import Cap

HOME_COVERAGE = 0.8
"""The home categories hold this share of a history's events."""
RECENT_EVENTS = 100
"""`auto` looks at this many newest events."""
PRIOR_ITEMS = 5
"""`auto` starts from 1 - HOME_COVERAGE, which weighs as much as this many items."""


def home_categories(codes: Rows, history: Rows) -> Rows:
    """int32: the fewest categories that together hold HOME_COVERAGE of a history's events.

    `codes` int32 (n_items,): category per item, -1 unknown (never home). `history`: item rows, oldest
    first; repeats count. Of equally frequent categories the one seen last comes first.
    """
    seen = codes[history]
    seen = seen[seen >= 0]
    if not len(seen):
        return np.empty(0, np.int32)
    n_events = np.bincount(seen)
    newest = np.zeros(len(n_events), np.int64)
    newest[seen] = np.arange(len(seen))  # of repeated places the last value stays
    names = np.flatnonzero(n_events)
    counts = n_events[names]
    order = np.argsort(-(counts * len(seen) + newest[names]))  # by count, then by the newest event
    covered = np.cumsum(counts[order]) / len(seen)
    needed = int(np.searchsorted(covered, HOME_COVERAGE - 1e-9)) + 1
    return names[order][:needed].astype(np.int32)


def auto_share(codes: Rows, history: Rows) -> float:
    """The share of other categories that a history shows: 0 to 1.

    Counted over the distinct items of the newest events, so that a weekly pint of milk does not hide
    that half of the shelf varies; shrunk, so that a history of two items decides little.
    """
    recent = np.unique(history[-RECENT_EVENTS:])
    recent = recent[codes[recent] >= 0]
    outside = int((~np.isin(codes[recent], home_categories(codes, history))).sum())
    return (outside + PRIOR_ITEMS * (1.0 - HOME_COVERAGE)) / (len(recent) + PRIOR_ITEMS)


def is_cross(codes: Rows, home: Rows) -> npt.NDArray[np.bool_]:
    """bool (n,): outside the home categories; an unknown category is not counted as outside."""
    outside = np.ones(int(codes.max(initial=-1)) + 2, bool)
    outside[home[home < len(outside) - 1]] = False
    outside[-1] = False  # read by code -1
    return outside[codes]


def share_cap(cross: npt.NDArray[np.bool_], share: float, k: int) -> Cap:
    """The split of a list of `k` that comes closest to `share` (halves are rounded up)."""
    outside = int(np.floor(share * k + 0.5))
    return Cap(cross.astype(np.int32), np.array([k - outside, outside], np.int64))
