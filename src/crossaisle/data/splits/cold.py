"""Simulated cold starts: items, users or whole categories lose all their events and become the targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import ConfigError, DataError

Mask = npt.NDArray[np.bool_]


def cold_items(dataset: Dataset, *, share: float = 0.1, seed: int = 0, most: int | None = None) -> Split:
    """A seeded share of the items loses every event and becomes the test targets; a second one, for
    validation.

    `train` contains events of neither, `past` all but those of the test items. One case per user with an
    event of a hidden item: the target is the last such event, the history the user's earlier events of items
    that are not hidden; users without such a history are left out. `most` draws a seeded sample of the cases.
    """
    _check_share(share, "items")
    order = np.random.default_rng(seed).permutation(dataset.n_items)
    size = int(share * dataset.n_items)
    if size < 1:
        raise DataError(f"{dataset.n_items} items are too few to hold out a share of {share} of them")
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


def cold_users(dataset: Dataset, *, share: float = 0.1, given: int = 1, seed: int = 0) -> Split:
    """A seeded share of the users is unknown to the model; a second one for validation.

    `train` contains no events of either, `past` none of the test users. One case per user: the history is
    their first `given` events, as a session would provide them, and the target is the next item that is not
    among them. Users without one are left out.
    """
    _check_share(share, "users")
    if given < 1:
        raise ConfigError(f"given must be 1 or more events (found {given})")
    able = np.flatnonzero(np.diff(dataset.user_indptr) > given)
    size = int(share * len(able))
    if size < 1:
        raise DataError(
            f"{len(able)} users with more than {given} events are too few to hold out a share of "
            f"{share} of them"
        )
    order = np.random.default_rng(seed).permutation(able)
    test, both = np.zeros(dataset.n_users, bool), np.zeros(dataset.n_users, bool)
    test[order[:size]] = True
    both[order[: 2 * size]] = True
    user = dataset.events.user
    cases = {
        "validation": _first_cases(dataset, np.flatnonzero(both & ~test), given),
        "test": _first_cases(dataset, np.flatnonzero(test), given),
    }
    notes = tuple(
        f"{name}: {size:,} users hidden (seed {seed}), {len(c):,} cases of their first {given} events"
        for name, c in cases.items()
    )
    train, past = dataset.with_events(~both[user]), dataset.with_events(~test[user])
    return Split("cold_users", train, cases["validation"], past, cases["test"], notes=notes)


def _first_cases(dataset: Dataset, users: npt.NDArray[np.int64], given: int) -> EvalCases:
    events, wanted = dataset.events, dataset.wanted
    kept = np.zeros(len(events), bool)
    target = np.full(len(users), -1, np.int64)
    for row, user in enumerate(users.tolist()):
        start, end = dataset.user_indptr[user : user + 2].tolist()
        first = events.item[start : start + given]
        later = (
            start
            + given
            + np.flatnonzero(wanted[start + given : end] & ~np.isin(events.item[start + given : end], first))
        )
        if len(later):
            target[row] = later[0]
            kept[start : start + given] = True
    some = target >= 0
    asked = target[some]
    histories = dataset.with_events(kept).histories(users[some].astype(np.int32)).relative
    now = np.full(len(asked), np.nan) if events.time is None else events.time[asked] / SECONDS_PER_DAY
    return EvalCases(
        replace(histories, now=now), np.arange(len(asked) + 1, dtype=np.int64), events.item[asked]
    )


def cold_categories(dataset: Dataset, *, share: float = 0.1, seed: int = 0) -> Split:
    """Whole categories with about a share of the events lose them all; others for validation.

    Categories are those of the shop's category level. Cases are built as in `cold_items`. `DataError` if
    there are no categories of that size: choose a deeper level.
    """
    _check_share(share, "categories")
    code, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
    known = code >= 0
    events = np.bincount(code[known], dataset.item_counts[known], len(names))
    order = np.random.default_rng(seed).permutation(len(names))
    hidden: list[list[int]] = []
    left = [c for c in order.tolist() if events[c] > 0]
    for _ in range(2):
        chosen: list[int] = []
        for category in left:
            total = events[chosen].sum()
            if total < share * events.sum() and total + events[category] <= 1.5 * share * events.sum():
                chosen.append(category)
        left = [c for c in left if c not in chosen]
        hidden.append(chosen)
    if not all(hidden) or not left:
        found = len(left) + sum(map(len, hidden))
        raise DataError(
            f"{found} categories cannot be cut into parts of about {share:.0%} of the events: "
            "set category_level to a deeper level, or [split] test to another share"
        )
    test = known & np.isin(code, hidden[0])
    both = test | (known & np.isin(code, hidden[1]))
    item = dataset.events.item
    cases = {"validation": last_of(dataset, both & ~test, both), "test": last_of(dataset, test, test)}
    notes = tuple(
        f"{name}: {len(of)} categories hidden (seed {seed}), {len(cases[name]):,} cases: "
        + ", ".join(names[c] for c in of[:5])
        + (", ..." if len(of) > 5 else "")
        for name, of in (("validation", hidden[1]), ("test", hidden[0]))
    )
    train, past = dataset.with_events(~both[item]), dataset.with_events(~test[item])
    return Split("cold_categories", train, cases["validation"], past, cases["test"], notes=notes)


def _check_share(share: float, what: str) -> None:
    if not 0.0 < share < 0.5:
        raise ConfigError(f"share of cold {what} must lie between 0 and 0.5 (found {share})")


def last_of(dataset: Dataset, asked: Mask, hidden: Mask, users: Mask | None = None) -> EvalCases:
    """One case per user: the last event of an asked item, after at least one of an item that is not hidden.

    `asked`, `hidden` bool (n_items,); `users` bool (n_users,) restricts the users.
    """
    events = dataset.events
    wanted = asked[events.item] if users is None else asked[events.item] & users[events.user]
    rows = np.flatnonzero(wanted)
    last = rows[np.append(np.diff(events.user[rows]) != 0, True)] if len(rows) else rows
    shown = ~hidden[events.item]
    before = np.concatenate([[0], np.cumsum(shown)])  # number of visible events before each event
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
    """A seeded sample of at most `most` cases, in their original order."""
    if len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).permutation(len(cases))[:most]))
