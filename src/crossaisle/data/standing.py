"""Which events of a log still stand: returned, disliked or removed items no longer count as interest.

For each user and item, in order of time (at the same time, events that take back come last):

- a return takes back its quantity from the latest purchases; a removal one cart or favourite event;
- a return after which no purchase is left, a dislike and a low rating cancel everything before them, and
  stand *against* the item until a favourite, a cart, a purchase or a good rating follows; views in between do
  not count;
- of views of one item within `SESSION_SECONDS` of each other only the last counts: three views in a row are
  not three visits. Without times, this applies to consecutive views.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.data.kinds import CART, DISLIKE, FAVOURITE, PURCHASE, REMOVE, RETURN, VIEW, Roles
from crossaisle.data.membership import distinct
from crossaisle.data.vocabulary import Rows

SESSION_SECONDS = 1800
"""Gap in seconds between views of an item after which the next one counts separately."""

ROUNDING = 1e-5
"""Share of a purchase below which it counts as fully returned: a hundred times the float32 rounding error."""

Integers = npt.NDArray[np.int64]
Units = npt.NDArray[np.float32]


class Standing(NamedTuple):
    """The result for `n` events."""

    units: npt.NDArray[np.float32]
    """float32 (n,): quantity that stands; 0 for what was taken back, and for events without interest."""
    against: Integers
    """int64: indices of the events that stand against their items, ascending."""


def standing(
    user: Rows,
    item: Rows,
    time: npt.NDArray[np.floating] | npt.NDArray[np.integer] | None,
    role: Roles,
    quantity: npt.NDArray[np.float32],
    n_items: int,
) -> Standing:
    """Applies the rules to events sorted by user, then time.

    `user`, `item` int32 (n,); `time` seconds or None; `role` int8 (n,) from `Kinds.roles`; `quantity` float32
    (n,), whose sign is already reflected in the roles.
    """
    size = np.abs(np.nan_to_num(quantity, nan=1.0)).astype(np.float32)
    size[size == 0] = 1.0
    units = np.where(role <= PURCHASE, size, np.float32(0.0))
    pair = user.astype(np.int64) * n_items + item
    negative = (role >= DISLIKE) & (role <= REMOVE)
    against = np.empty(0, np.int64)
    if negative.any():
        taken = distinct(pair[negative])
        place = np.minimum(np.searchsorted(taken, pair), len(taken) - 1)
        contested = np.flatnonzero(taken[place] == pair)
        moment = np.zeros(len(contested)) if time is None else time[contested]
        # Without times, keep the order; else, among events at the same time, those that take back come last.
        late = np.zeros(len(contested), bool) if time is None else negative[contested]
        contested = contested[np.lexsort((contested, late, moment, pair[contested]))]
        against = _settle(contested, pair, role, size, units)
    views = np.flatnonzero((role == VIEW) & (units > 0))
    if len(views):
        units[views[_looked_again(views, pair, user, time)]] = 0.0
    return Standing(units, against)


def _looked_again(
    views: Integers, pair: Integers, user: Rows, time: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.bool_]:
    """bool (len(views),): views directly followed by another view of the same item in the same session."""
    out = np.zeros(len(views), bool)
    if time is None:
        out[:-1] = (pair[views[1:]] == pair[views[:-1]]) & (views[1:] == views[:-1] + 1)
        return out
    order = np.lexsort((views, pair[views]))
    at = views[order]
    soon = np.asarray(time[at[1:]] - time[at[:-1]] < SESSION_SECONDS)  # type: ignore[operator]
    out[order[:-1]] = (pair[at[1:]] == pair[at[:-1]]) & soon
    return out


def _settle(order: Integers, pair: Integers, role: Roles, size: Units, units: Units) -> Integers:
    """Processes the events of items with any negative event; updates `units` in place."""
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    turned = [_turned(group.tolist(), role, size, units) for group in np.split(order, starts[1:])]
    return np.sort(np.array([at for at in turned if at >= 0], np.int64))


def _turned(group: list[int], role: Roles, size: Units, units: Units) -> int:
    """Processes one user's events of one item, in order; returns the index of the one against it, or -1."""
    turned, before = -1, list[int]()
    for at in group:
        kind = role[at]
        if kind == VIEW and turned >= 0:
            units[at] = 0.0
        elif kind <= PURCHASE:
            before.append(at)
            turned = -1 if kind != VIEW else turned
        elif kind == REMOVE:
            _take_one(before, role, units)
        elif kind == RETURN:
            _take_back(before, role, size, units, float(size[at]))
        if kind == DISLIKE or (kind == RETURN and not any(role[i] == PURCHASE and units[i] for i in before)):
            units[before] = 0.0
            turned, before = at, []
    return turned


def _take_back(before: list[int], role: Roles, size: Units, units: Units, left: float) -> None:
    """Takes units off the latest purchases. Fractions leave no rounding residue (.3 - .1 - .1 - .1)."""
    for i in reversed(before):
        if left <= 0:
            return
        if role[i] == PURCHASE and units[i] > 0:
            had = float(units[i])
            units[i] = had - left if had - left > ROUNDING * size[i] else 0.0
            left -= had


def _take_one(before: list[int], role: Roles, units: Units) -> None:
    """Removes the latest cart or favourite event as a whole."""
    for i in reversed(before):
        if role[i] in (CART, FAVOURITE) and units[i] > 0:
            units[i] = 0.0
            return
