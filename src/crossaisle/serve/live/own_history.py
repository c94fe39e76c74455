"""`own_history`: what a model's log and the live events of one user come to, by `data.standing`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Histories
from crossaisle.data.kinds import PURCHASE, ROLES
from crossaisle.data.membership import is_in
from crossaisle.data.standing import standing
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.serve.live.own import Deed

Days = npt.NDArray[np.float64]
LONG_AGO = 1e15
"""Seconds before 1970 of events whose times are not known, `APART` seconds from each other."""
APART = 1e6


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
