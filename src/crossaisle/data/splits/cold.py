"""Cold starts made on purpose: items or a whole category lose all behaviour, and are asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import ConfigError, DataError

Mask = npt.NDArray[np.bool_]


def cold_items(dataset: Dataset, *, share: float = 0.1, seed: int = 0, most: int | None = None) -> Split:
    """A seeded share of the items loses every event and is asked for; a second one for validation.

    `train` knows neither of the two, `past` all but the test items. One case per user with an event of
    a hidden item: the last such event, asked for with the user's earlier events of items that are not
    hidden; users without such events are left out. `most` takes a seeded sample of the cases.
    """
    if not 0.0 < share < 0.5:
        raise ConfigError(f"share of cold items must lie between 0 and 0.5 (found {share})")
    order = np.random.default_rng(seed).permutation(dataset.n_items)
    size = int(share * dataset.n_items)
    if size < 1:
        raise DataError(f"{dataset.n_items} items are too few to hide a share of {share} of them")
    test, both = np.zeros(dataset.n_items, bool), np.zeros(dataset.n_items, bool)
    test[order[:size]] = True
    both[order[: 2 * size]] = True
    item = dataset.events.item
    asked = {"validation": both & ~test, "test": test}
    hidden = {"validation": both, "test": test}
    cases = {name: last_of(dataset, asked[name], hidden[name]) for name in asked}
    notes = tuple(
        f"{name}: {size:,} items hidden (seed {seed}), {len(c):,} cases" for name, c in cases.items()
    )
    if most is not None:
        cases = {name: sample(c, most, seed) for name, c in cases.items()}
    return Split(
        "cold_items",
        dataset.with_events(~both[item]),
        cases["validation"],
        dataset.with_events(~test[item]),
        cases["test"],
        notes=notes,
    )


def last_of(dataset: Dataset, asked: Mask, hidden: Mask, users: Mask | None = None) -> EvalCases:
    """One case per user: the last event of an asked item, after at least one of an item not hidden.

    `asked`, `hidden` bool (n_items,); `users` bool (n_users,) limits whose events are asked about.
    """
    events = dataset.events
    wanted = asked[events.item] if users is None else asked[events.item] & users[events.user]
    rows = np.flatnonzero(wanted)
    last = rows[np.append(np.diff(events.user[rows]) != 0, True)] if len(rows) else rows
    shown = ~hidden[events.item]
    before = np.concatenate([[0], np.cumsum(shown)])  # events shown before each event
    kept = dataset.with_events(shown)
    start = kept.user_indptr[events.user[last]]
    length = before[last] - start
    last, start, length = last[length > 0], start[length > 0], length[length > 0]
    indptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    index = np.repeat(start - indptr[:-1], length) + np.arange(indptr[-1])
    time = kept.events.time
    day = np.full(len(index), np.nan) if time is None else time[index] / SECONDS_PER_DAY
    own = events.time
    now = np.full(len(last), np.nan) if own is None else own[last] / SECONDS_PER_DAY
    weight, role = kept.events.weight, kept.roles
    histories = Histories(
        indptr,
        kept.events.item[index],
        day,
        events.user[last],
        now,
        weight=None if weight is None else weight[index],
        role=None if role is None else role[index],
    ).relative
    return EvalCases(histories, np.arange(len(last) + 1, dtype=np.int64), events.item[last])


def sample(cases: EvalCases, most: int, seed: int = 0) -> EvalCases:
    """At most `most` cases, by a seeded shuffle, in their order."""
    if len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).permutation(len(cases))[:most]))
