"""Splits: the data a model may learn from, and the cases it is evaluated on.

`temporal` cuts the whole shop at one time, as in production; it is the headline protocol. `leave_last_out` is
what most published tables use; it lets a model see other users' future. `baskets` holds out whole baskets and
asks for the rest of each, given the items of its first category. `random` holds out events regardless of
time, as some published tables do; it gives optimistic results.

All of them keep cold users and cold items; `data.splits.cold` creates them on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Histories
from crossaisle.data.kinds import ROLES
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.cold import cold_categories, cold_items, cold_users
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, DataError, nearest

PROTOCOLS = ("temporal", "leave_last_out", "baskets", "random", "cold_items", "cold_users", "cold_categories")
UNSPLIT = "unsplit"
"""`Split.protocol` of a shop too small to hold anything out."""
REPEATS_ARE_COMMON = 0.10
"""Share of repeated targets from which on items of the history stay candidates, unless a fit decides
otherwise."""
_DAY = int(SECONDS_PER_DAY)

Mask = npt.NDArray[np.bool_]


def split(dataset: Dataset, protocol: str = "auto", **options: Any) -> Split:
    """Applies a protocol by name; "auto" picks the most realistic one that the data allows.

    Baskets without users: `baskets`; events with times: `temporal`; order only: `leave_last_out`. `options`
    are passed to the protocol's function.
    """
    if protocol == "auto":
        protocol = "baskets" if dataset.users_are_baskets else "temporal"
        if protocol == "temporal" and not dataset.has_time:
            protocol = "leave_last_out"
    chosen: dict[str, Callable[..., Split]] = {
        "temporal": temporal_split,
        "leave_last_out": leave_last_out,
        "baskets": basket_split,
        "random": random_split,
        "cold_items": cold_items,
        "cold_users": cold_users,
        "cold_categories": cold_categories,
    }
    if protocol not in chosen:
        raise ConfigError(f"unknown split protocol {protocol!r}{nearest(protocol, PROTOCOLS)}")
    return chosen[protocol](dataset, **options)


def unsplit(dataset: Dataset, why: str) -> Split:
    """No split, for a shop with too few events: models learn from everything, and nothing is evaluated.

    `why`: what is missing, as a sentence for a report.
    """
    nobody = EvalCases(Histories.of([]), np.zeros(1, np.int64), np.empty(0, np.int32))
    note = f"nothing was held out, so nothing could be measured: {why}"
    return Split(UNSPLIT, dataset, nobody, dataset, nobody, notes=(note,))


def temporal_split(
    dataset: Dataset,
    *,
    test_from: str | date | None = None,
    validation_from: str | date | None = None,
    fraction: float = 1 / 12,
) -> Split:
    """Global temporal split: test is everything from `test_from` on, validation the window before it.

    Dates are ISO 8601 or `date`/`datetime` (UTC if no time zone is given). By default, test is the last
    `fraction` of the time range in whole days, and validation is as long as test. One case per user with an
    event in the window: history = the user's events before the window (empty for a cold user), targets = all
    distinct items in the window. Here, the share of repeats on validation decides whether items of the
    history stay candidates; `pipeline.fit` later tries both.
    """
    seconds = dataset.events.time
    if seconds is None:
        raise DataError("a temporal split needs event times; use the protocol leave_last_out or baskets")
    if not len(seconds):
        raise DataError("a temporal split needs events; the data set has none")
    if not 0.0 < fraction < 0.5:
        raise ConfigError(f"fraction must lie between 0 and 0.5 (found {fraction})")
    first, end = int(seconds.min()), int(seconds.max()) + 1
    # whole days, so that no cut falls within a shopping trip
    cut = _seconds(test_from) if test_from else _whole_day(end - (end - first) * fraction)
    before = _seconds(validation_from) if validation_from else _whole_day(cut - (end - cut))
    if not first < before < cut < end:
        raise ConfigError(
            f"the data runs from {_iso(first)} to {_iso(end - 1)}: validation (from {_iso(before)}) and "
            f"test (from {_iso(cut)}) must start inside it, in this order; if these are not the data's days, "
            "see data.time_unit"
        )
    train, past = seconds < before, seconds < cut
    known, later, wanted = dataset.before(before), dataset.before(cut), dataset.wanted
    repeats = _share_repeated(dataset, train, past & ~train & wanted)
    mask_seen = repeats <= REPEATS_ARE_COMMON
    return Split(
        "temporal",
        known,
        window_cases(dataset, known, past & ~train & wanted, before / _DAY, mask_seen),
        later,
        window_cases(dataset, later, ~past & wanted, cut / _DAY, mask_seen),
        repeated=repeats,
        notes=(
            f"test: events from {_iso(cut)} to {_iso(end - 1)}; validation: from {_iso(before)} on; "
            f"training: from {_iso(first)} on",
            f"{repeats:.0%} of the validation targets are repeats",
            *_note_targets(dataset),
        ),
    )


def _note_targets(dataset: Dataset) -> tuple[str, ...]:
    wanted = int(dataset.wanted.sum())
    if wanted == len(dataset.events):
        return ()
    role = ROLES[int(dataset.roles[dataset.wanted][0])] if dataset.roles is not None else ""
    return (
        f"targets are of the kind {role}: {wanted:,} of {len(dataset.events):,} events, "
        "without those taken back",
    )


def window_cases(dataset: Dataset, history: Dataset, window: Mask, now: float, mask_seen: bool) -> EvalCases:
    """One case per user with an event in a window: history before it, and all distinct items in it as
    targets.

    `history`: the shop as it was known before the window; `window` bool (events of `dataset`,); `now`: start
    of the window, in days since 1970.
    """
    events = dataset.events
    users, indptr, targets = _grouped(events.user[window], events.item[window], dataset.n_items)
    histories = history.histories(users, now=now).relative
    return EvalCases(histories, indptr, targets, mask_seen)


def _share_repeated(dataset: Dataset, history: Mask, window: Mask) -> float:
    events = dataset.events
    pair = events.user.astype(np.int64) * dataset.n_items + events.item
    asked = np.unique(pair[window])
    return float(is_in(asked, pair[history]).mean()) if len(asked) else 0.0


def leave_last_out(dataset: Dataset) -> Split:
    """Each user's last event is a test target, the second-to-last a validation target.

    Users with fewer than three events are only used for training. Test histories contain all but the last
    event.
    """
    events, starts = dataset.events, dataset.user_indptr
    targets = np.flatnonzero(dataset.wanted)
    one_before = np.flatnonzero(events.user[targets[1:]] == events.user[targets[:-1]])
    newest = np.append(events.user[targets[1:]] != events.user[targets[:-1]], True)[1:]
    pairs = one_before[newest[one_before]]
    other, last = targets[pairs], targets[pairs + 1]  # the last two of each user
    learned_from = other > starts[events.user[other]]
    other, last = other[learned_from], last[learned_from]
    users = events.user[last]
    if not len(users):
        raise DataError("leave_last_out needs users with three or more events; there are none")
    place = np.arange(len(events))
    end = np.full(dataset.n_users, len(events))
    end[users] = last
    past = place < end[events.user]  # a user's events after the target are in the future as well
    end[users] = other
    train = place < end[events.user]
    lengths = np.diff(starts)
    short = int(np.count_nonzero(lengths)) - len(users)
    return Split(
        "leave_last_out",
        dataset.with_events(train),
        _last_cases(dataset, train, users, other),
        dataset.with_events(past),
        _last_cases(dataset, past, users, last),
        repeated=_share_repeated(dataset, train, _only(events, other)),
        notes=(f"{short:,} users with fewer than three events are used for training only",) if short else (),
    )


def _only(events: Events, rows: npt.NDArray[np.integer]) -> Mask:
    out = np.zeros(len(events), bool)
    out[rows] = True
    return out


def _last_cases(dataset: Dataset, history: Mask, users: Rows, target: npt.NDArray[np.int64]) -> EvalCases:
    events = dataset.events
    kept = dataset.with_events(history).histories(users).relative
    now = np.full(len(users), np.nan) if events.time is None else events.time[target] / SECONDS_PER_DAY
    histories = replace(kept, now=now)
    return EvalCases(histories, np.arange(len(users) + 1, dtype=np.int64), events.item[target])


def random_split(dataset: Dataset, *, share: float = 0.1, seed: int = 0) -> Split:
    """Holds out a seeded share of the events regardless of time, and as many for validation.

    One case per user: history = the user's remaining events, targets = all distinct items held out. Models
    learn from users' later events: results are better than in production, and comparable only to others of
    this kind.
    """
    if not 0.0 < share < 0.5:
        raise ConfigError(f"share of held-out events must lie between 0 and 0.5 (found {share})")
    targets = np.flatnonzero(dataset.wanted)
    size = int(share * len(targets))
    if size < 1:
        raise DataError(f"{len(targets)} events are too few to hold out a share of {share} of them")
    order = np.random.default_rng(seed).permutation(targets)
    test, validation = _only(dataset.events, order[:size]), _only(dataset.events, order[size : 2 * size])
    known, later = dataset.with_events(~(test | validation)), dataset.with_events(~test)
    repeats = _share_repeated(dataset, ~(test | validation), validation)
    mask_seen = repeats <= REPEATS_ARE_COMMON
    time = dataset.events.time
    now = float("nan") if time is None else float(time.max() / SECONDS_PER_DAY)
    return Split(
        "random",
        known,
        window_cases(dataset, known, validation, now, mask_seen),
        later,
        window_cases(dataset, later, test, now, mask_seen),
        repeated=repeats,
        notes=(
            f"{size:,} events held out at random (seed {seed}), {size:,} more for validation: models have "
            "seen later events",
            f"{repeats:.0%} of the validation targets are repeats",
        ),
    )


def basket_split(
    dataset: Dataset,
    *,
    test: int = 10_000,
    validation: int | None = None,
    seed: int = 0,
    other_categories: bool = True,
) -> Split:
    """Holds out whole baskets, chosen by a seeded shuffle; each asks for the rest, given its first category.

    The query consists of all items in the basket that share the first item's category (at the shop's level),
    in order; the targets are the items of other known categories. `other_categories`: candidates exclude the
    query's category. `test` and `validation` (by default the same number) are the numbers of baskets held
    out, each at most a fifth of all; those without targets are dropped from the cases and counted.
    """
    events = dataset.events
    basket = events.user if dataset.users_are_baskets else events.basket
    names = np.unique(basket[basket >= 0])
    size = min(test, len(names) // 5)
    other = min(size if validation is None else validation, len(names) // 5)
    if size < 1 or other < 1:
        raise DataError(
            f"a basket split needs at least five baskets (found {len(names)}) and at least one to hold out"
        )
    shuffled = names[np.random.default_rng(seed).permutation(len(names))]
    in_test = is_in(basket, shuffled[:size])
    in_validation = is_in(basket, shuffled[size : size + other])
    held = {
        "test": _basket_cases(dataset, basket, in_test, other_categories),
        "validation": _basket_cases(dataset, basket, in_validation, other_categories),
    }
    sizes = {"test": size, "validation": other}
    return Split(
        "baskets",
        dataset.with_events(~(in_test | in_validation)),
        held["validation"],
        dataset.with_events(~in_test),
        held["test"],
        notes=tuple(
            f"{name}: {sizes[name]:,} baskets held out (seed {seed}), "
            f"{sizes[name] - len(cases):,} of them without an item of another category"
            for name, cases in held.items()
        ),
    )


def _basket_cases(dataset: Dataset, basket: Rows, held: Mask, other_categories: bool) -> EvalCases:
    rows = np.flatnonzero(held)
    rows = rows[np.argsort(basket[rows], kind="stable")]  # baskets concatenated, with their order preserved
    owner, item = basket[rows], dataset.events.item[rows]
    category = dataset.taxonomy.codes()[item]
    opens = np.ones(len(rows), bool)
    opens[1:] = owner[1:] != owner[:-1]
    number = np.cumsum(opens) - 1
    first = category[opens][number]
    asked = (category == first) & (first >= 0)
    wanted = (category != first) & (category >= 0) & (first >= 0)
    numbers, indptr, targets = _grouped(number[wanted].astype(np.int32), item[wanted], dataset.n_items)
    asked &= is_in(number, numbers)
    lengths = np.bincount(np.searchsorted(numbers, number[asked]), minlength=len(numbers))
    time = dataset.events.time
    day = np.full(int(asked.sum()), np.nan) if time is None else time[rows[asked]] / SECONDS_PER_DAY
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # The query's time is that of the newest item in the cart; a cart has no user.
    now = day[starts[1:] - 1] if len(numbers) else np.empty(0)
    carts = Histories(starts, item[asked], day, np.full(len(numbers), -1, np.int32), now)
    return EvalCases(carts, indptr, targets, other_categories_only=other_categories)


def _grouped(owner: Rows, item: Rows, n_items: int) -> tuple[Rows, npt.NDArray[np.int64], Rows]:
    """Owners in ascending order, and the distinct items of each, concatenated."""
    pairs = np.unique(owner.astype(np.int64) * n_items + item)
    owners, counts = np.unique(pairs // n_items, return_counts=True)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return owners.astype(np.int32), indptr, (pairs % n_items).astype(np.int32)


def _seconds(moment: str | date) -> int:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(f"{moment!r} is not a date: write it as 2017-12-01") from None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _whole_day(seconds: float) -> int:
    return int(seconds // _DAY) * _DAY


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
