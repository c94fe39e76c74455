"""`own_history`: one user's history out of the model's log and live events, less what was taken back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Histories
from crossaisle.data.kinds import PURCHASE, ROLES, VIEW
from crossaisle.data.membership import is_in
from crossaisle.data.standing import SESSION_SECONDS, standing
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.serve.live.own import Deed

Days = npt.NDArray[np.float64]
LONG_AGO = 1e15
"""Seconds before 1970 of events whose times are not known, `APART` seconds from each other."""
APART = 1e6
MOST, MOST_DEEDS = 50, 1000
"""Live events that are gone through one by one, and different ones that are remembered at a time."""
APART_DAYS = 2.0 / SECONDS_PER_DAY
"""Events of one second are one, with rounding."""


def own_history(
    log: Events,
    row: int,
    dataset: Dataset,
    n_items: int,
    live: tuple[Rows, Days, tuple[Deed, ...]],
    now: float,
) -> Histories:
    """A batch of one, weights as shares of the strongest kind of the data.

    `log`: the model's events of this user alone. `row`: the user's, -1 for one the model does not know.
    `dataset`: whose kinds and meanings hold. `n_items`: with new ones. `live`: item rows, -1 unknown, days
    and deeds, oldest first. `now`: days, of the model's last event.
    """
    rows, days, deeds = live
    names = list(dict.fromkeys((*dataset.kinds, *(deed.kind for deed in deeds))))
    code = {name: at for at, name in enumerate(names)}
    n = len(log)
    unknown = -LONG_AGO + APART * np.arange(n)
    past = np.asarray(unknown if log.time is None else log.time, np.float64)
    seconds = days * SECONDS_PER_DAY
    value = np.array([np.nan if deed.value is None else deed.value for deed in deeds], np.float32)
    quantity = np.array([1.0 if deed.quantity is None else deed.quantity for deed in deeds], np.float32)
    kind = np.array([code[deed.kind] for deed in deeds], np.int64)
    kinds = np.concatenate([log.kind.astype(np.int64), kind])
    roles = dataset.meanings.roles(
        names, kinds, np.concatenate([log.value, value]), np.concatenate([log.quantity, quantity])
    )
    good = rows >= 0
    if n:
        # A model that was fitted on events of the store: these do not count twice.
        good &= ~is_in(_moments(rows, seconds, roles[n:]), _moments(log.item, past, roles[:n]))
    keep = np.concatenate([np.ones(n, bool), good])
    item = np.concatenate([log.item, rows])[keep]
    moment = np.concatenate([past, seconds])[keep]
    order = np.argsort(moment, kind="stable")
    at = np.flatnonzero(keep)[order]
    item, moment, role, kinds = item[order], moment[order], roles[at], kinds[at]
    sizes = np.concatenate([log.quantity, quantity])[at]
    units, against = standing(np.zeros(len(item), np.int32), item, moment, role, sizes, n_items)
    weight = dataset.meanings.amounts(names, kinds, units)
    stands = (units > 0) & (weight > 0)
    if log.time is None:
        moment = np.where(moment < 0, np.nan, moment)
    day = moment / SECONDS_PER_DAY
    # The role of what stands is that of its kind: what turns a rating or a purchase around stands no more.
    role = role[stands]
    alike = bool((role == PURCHASE).all()) and dataset.role == PURCHASE
    weight = weight[stands]
    return Histories(
        np.array([0, len(role)]),
        item[stands],
        day[stands],
        np.array([row], np.int32),
        np.array([np.fmax(now, np.fmax.reduce(day, initial=np.nan))]),
        weight=None if (weight == 1.0).all() else weight,
        role=None if alike else role,
        disliked=Histories.of([item[against]]) if len(against) else None,
    )


class OnPurchases:
    """`own_history` for models of purchases alone of which nothing is taken back: it settles what is new."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._able = dataset.role == PURCHASE and dataset.log is None and dataset.against is None
        weights = {dataset.meanings.meaning(kind).weight for kind in dataset.kinds}
        self._able &= dataset.has_time and not dataset.meanings.quantities and len(weights) == 1
        self._able &= dataset.events.weight is None
        self._purchase = min(weights, default=1.0)
        """What an event of the model weighs."""
        self._worth: dict[Deed, tuple[int, float] | None] = {}
        """Role and weight of an event, by what decides them; None where it takes back, or is nothing."""

    def settled(
        self, past: Histories, live: tuple[Rows, Days, tuple[Deed, ...]], now: float
    ) -> Histories | None:
        """As `own_history` of the log that `past` came of, a batch of one; None where that is needed."""
        rows, days, deeds = live
        if not self._able or len(deeds) > MOST:
            return None
        if len(past.item) and not past.day[-1] < days[0] - APART_DAYS:
            return None  # a model that was fitted on events of the store: these do not count twice
        kept: list[tuple[int, float, float, int]] = []
        seen: dict[int, float] = {}
        moments, later = (days * SECONDS_PER_DAY).tolist(), np.inf
        for row, day, moment, deed in zip(
            rows.tolist()[::-1], days.tolist()[::-1], moments[::-1], deeds[::-1], strict=True
        ):
            worth = self._of(deed)
            if worth is None or moment > later:
                return None
            later = moment
            if row < 0:
                continue
            if worth[0] == VIEW:
                next_look, seen[row] = seen.get(row, np.inf), moment
                if next_look - moment < SESSION_SECONDS:
                    continue
            kept.append((row, day, worth[1], worth[0]))
        kept.reverse()
        n, m = len(past.item), len(kept)
        item, day = np.empty(n + m, np.int32), np.empty(n + m)
        weight, role = np.full(n + m, self._purchase, np.float32), np.full(n + m, PURCHASE, np.int8)
        item[:n], day[:n] = past.item, past.day
        if m:
            item[n:], day[n:], weight[n:], role[n:] = zip(*kept, strict=True)
        latest = np.fmax(now, day[-1]) if n + m else now
        return Histories(
            np.array([0, n + m]),
            item,
            day,
            past.user,
            np.array([latest]),
            weight=None if (weight == 1.0).all() else weight,
            role=None if (role == PURCHASE).all() else role,
        )

    def _of(self, deed: Deed) -> tuple[int, float] | None:
        # Prices are values, too: of these, a shop has thousands. They decide nothing.
        rated = self._dataset.meanings.meaning(deed.kind).role == "rating"
        below = deed.quantity is not None and deed.quantity < 0
        deed = Deed(deed.kind, deed.value if rated else None, -1.0 if below else None)
        known = self._worth
        if deed not in known:
            nothing = self._dataset.events.take(slice(0, 0))
            one = np.zeros(1, np.int32), np.zeros(1), (deed,)
            found = own_history(nothing, -1, self._dataset, 1, one, 0.0)
            worth = None
            if len(found.item) and found.disliked is None:
                role = PURCHASE if found.role is None else int(found.role[0])
                worth = role, 1.0 if found.weight is None else float(found.weight[0])
            if len(known) >= MOST_DEEDS:
                known = self._worth = {}  # others may be reading the old one
            known[deed] = worth
        return known[deed]


def plain(dataset: Dataset, deeds: tuple[Deed, ...]) -> bool:
    """Whether all that a user did and the model knows are purchases, so that nothing has to be settled."""
    if dataset.role != PURCHASE or dataset.log is not None or dataset.against is not None:
        return False
    meanings = dataset.meanings
    return not meanings.quantities and all(
        ROLES[PURCHASE] == meanings.meaning(deed.kind).role and not (deed.quantity or 1.0) < 0
        for deed in set(deeds)
    )


def _moments(rows: Rows, seconds: Days, roles: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """int64 (n,): item, second and whether it is interest in one number."""
    whole = np.floor(seconds + 1e-5).astype(np.int64)
    return rows.astype(np.int64) << 37 | (whole & (1 << 36) - 1) << 1 | (roles > PURCHASE)
