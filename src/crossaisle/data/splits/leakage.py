"""`leaks`: does training data, or a query, reveal the answers?

| rule | violation | protocols |
|---|---|---|
| `after the cut` | a training event at or after the time of the queries | temporal |
| `own future` | a training event later than the same user's query | leave_last_out |
| `late history` | an event in a history later than its query | all but random |
| `held-out event` | an event occurs twice, once held out; reported, but not an error | all |
| `catalogue of the test` | items that only the test keeps in the catalogue; reported | no cold, no baskets |
| `user in both` | a cold user in training; one user in validation and test | cold_users |
| `item in both` | a cold item in training | cold_items |
| `category in both` | an item of a cold category in training | cold_categories |
| `basket in both` | a basket with one part in training and one held out | baskets |
| `title in a feature` | the answer's title in a user attribute, unless by chance | all |

`random` lets a model see later events by design; its notes say so, and it does not count as a leak.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import fisher_exact

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import DataError, shorten

SHORTEST_TITLE = 5
"""Minimum characters of a title: shorter ones occur in other texts by chance."""
SURE = 0.001
"""p-value below which titles in texts are not a coincidence."""
WHOLE = ("temporal", "leave_last_out", "random")
"""Protocols that hold out individual events, rather than items, users, categories or baskets."""
FEWEST_ITEMS = 100
"""In smaller catalogues, every item may have several users by chance."""
_TOLERANCE = 1.0 / SECONDS_PER_DAY
"""A second, in days."""


@dataclass(frozen=True)
class Leak:
    """One violation."""

    rule: str
    where: str
    """"validation" or "test"."""
    count: int
    example: str
    hard: bool = True
    """False if a small amount does not invalidate results: reported, but not an error."""
    sentence: str = ""
    """What is reported, if the other fields do not say it well."""

    def __str__(self) -> str:
        return self.sentence or f"{self.rule} ({self.where}): {self.count:,}, such as {self.example}"


def check_leaks(split: Split, dataset: Dataset | None = None) -> tuple[str, ...]:
    """Lines for a report; `DataError` if `leaks` finds a violation that invalidates results."""
    found = leaks(split, dataset)
    if hard := [leak for leak in found if leak.hard]:
        raise DataError(
            f"the split leaks, so metrics would be too optimistic: {'; '.join(map(str, hard))}; "
            "remove these events, baskets or columns, or choose another [split] protocol"
        )
    soft = tuple(f"leakage check: {leak}" for leak in found)
    return soft or ("leakage check: nothing of the held-out events is in training",)


def leaks(split: Split, dataset: Dataset | None = None) -> tuple[Leak, ...]:
    """All violations. `dataset`: the whole shop; without it, held-out events are not checked."""
    out: list[Leak] = []
    for where, known, cases in (
        ("validation", split.train, split.validation),
        ("test", split.past, split.test),
    ):
        if len(cases):
            out += _of_time(split.protocol, where, known, cases)
            out += _of_cold(split.protocol, where, known, cases)
            out += _of_titles(where, known, cases)
            if dataset is not None:
                out += _of_held(where, known, dataset)
                out += _of_catalogue(where, known, dataset) if split.protocol in WHOLE else ()
                out += _of_baskets(where, known, dataset) if split.protocol == "baskets" else ()
    if split.protocol == "cold_users":
        both = np.intersect1d(split.validation.histories.user, split.test.histories.user)
        if len(both):
            out.append(
                Leak("user in both", "validation and test", len(both), split.train.user_ids.id(both[0]))
            )
    return tuple(out)


def _of_time(protocol: str, where: str, known: Dataset, cases: EvalCases) -> Iterator[Leak]:
    time, events, histories = known.events.time, known.events, cases.histories
    now = histories.now
    if time is None or protocol == "random" or np.isnan(now).all():
        return
    day = time / SECONDS_PER_DAY
    if protocol == "temporal":
        late = np.flatnonzero(day >= np.nanmin(now) - _TOLERANCE / 2)
        if len(late):
            yield Leak("after the cut", where, len(late), _event(known, int(late[0])))
    elif protocol == "leave_last_out" and (histories.user >= 0).all():
        moment = np.full(known.n_users, np.inf)
        moment[histories.user] = np.where(np.isnan(now), np.inf, now)
        late = np.flatnonzero(day > moment[events.user] + _TOLERANCE)
        if len(late):
            yield Leak("own future", where, len(late), _event(known, int(late[0])))
    over = histories.day > np.repeat(now, histories.lengths) + _TOLERANCE
    if over.any():
        item = int(histories.item[np.argmax(over)])
        yield Leak("late history", where, int(over.sum()), f"item {known.item_ids.id(item)}")


def _of_cold(protocol: str, where: str, known: Dataset, cases: EvalCases) -> Iterator[Leak]:
    events = known.events
    if protocol == "cold_users":
        both = np.intersect1d(events.user, cases.histories.user)
        if len(both):
            yield Leak("user in both", where, len(both), f"user {known.user_ids.id(int(both[0]))}")
    elif protocol == "cold_items":
        both = np.intersect1d(events.item, cases.target)
        if len(both):
            yield Leak("item in both", where, len(both), f"item {known.item_ids.id(int(both[0]))}")
    elif protocol == "cold_categories":
        codes = known.taxonomy.codes()
        both = np.intersect1d(codes[events.item], codes[cases.target])
        both = both[both >= 0]
        if len(both):
            yield Leak("category in both", where, len(both), known.taxonomy.names()[int(both[0])])


def _of_held(where: str, known: Dataset, dataset: Dataset) -> Iterator[Leak]:
    """Events that occur several times in the data, some in training and some held out."""
    mine, every = known.events, dataset.events
    if mine.time is None or every.time is None:
        return
    both = [
        pl.DataFrame({"user": e.user, "item": e.item, "time": e.time}).group_by("user", "item", "time").len()
        for e in (mine, every)
    ]
    joined = both[0].join(both[1], on=["user", "item", "time"], suffix="_all")
    torn = joined.filter(pl.col("len") < pl.col("len_all")).sort("user", "item", "time")
    if torn.height:
        user, item, time = torn.row(0)[:3]
        yield Leak("held-out event", where, torn.height, _said(known, user, item, time), hard=False)


def _of_catalogue(where: str, known: Dataset, dataset: Dataset) -> Iterator[Leak]:
    """Items kept by a rule such as `min_users_per_item` only because of held-out events: the presence of a
    rare item in the catalogue then reveals that it will be chosen."""
    if dataset.n_items < FEWEST_ITEMS or where != "test":
        return
    before, after = (_users_per_item(one) for one in (known, dataset))
    fewest = int(after.min())
    late = np.flatnonzero(before < fewest)
    if fewest > 1 and len(late):
        example = f"item {known.item_ids.id(int(late[0]))}"
        sentence = (
            f"items in the catalogue only because of the test: {len(late):,}, such as {example} (every item "
            f"has {fewest} users or more, and these have fewer without the test's events)"
        )
        yield Leak("catalogue of the test", where, len(late), example, hard=False, sentence=sentence)


def _users_per_item(dataset: Dataset) -> npt.NDArray[np.int64]:
    events = dataset.events
    pairs = np.unique(events.item.astype(np.int64) * max(dataset.n_users, 1) + events.user)
    return np.bincount(pairs // max(dataset.n_users, 1), minlength=dataset.n_items)


def _of_baskets(where: str, known: Dataset, dataset: Dataset) -> Iterator[Leak]:
    mine, every = known.events, dataset.events
    one = mine.user if dataset.users_are_baskets else mine.basket
    other = every.user if dataset.users_are_baskets else every.basket
    n = int(max(other.max(initial=-1), one.max(initial=-1))) + 1
    had = np.bincount(one[one >= 0], minlength=n)
    all_of = np.bincount(other[other >= 0], minlength=n)
    both = np.flatnonzero((had > 0) & (had < all_of))
    if len(both):
        yield Leak("basket in both", where, len(both), f"basket number {both[0]}")


def _of_titles(where: str, known: Dataset, cases: EvalCases) -> Iterator[Leak]:
    """Checks every text column of the shop's users."""
    users = cases.histories.user
    if (users < 0).any():
        return
    titles = known.items["title"].to_list()
    answers = [[titles[item] for item in cases.targets_of(row)] for row in range(len(cases))]
    for name in known.users.columns:
        if name == "user_id" or known.users[name].dtype != pl.String:
            continue
        column = known.users[name].to_list()
        found = titles_in([column[user] or "" for user in users.tolist()], answers)
        if found:
            first = found[0]
            example = (
                f"{shorten(answers[first][0])} in {name!r} of user {known.user_ids.id(int(users[first]))}"
            )
            yield Leak("title in a feature", where, len(found), example)


def titles_in(texts: Sequence[str], answers: Sequence[Sequence[str]]) -> list[int]:
    """Cases whose text contains a title of their answers; none if as many contain another case's.

    `texts`: one feature of each case, as text. Only titles of at least `SHORTEST_TITLE` characters count;
    case is ignored. Decided by Fisher's exact test against the answers of the next case.
    """
    lower = [text.lower() for text in texts]
    if not any(lower) or len(lower) < 2:
        return []

    def holds(shift: int) -> list[int]:
        found = []
        for row, text in enumerate(lower):
            own = answers[(row + shift) % len(answers)]
            if any(len(title) >= SHORTEST_TITLE and title.lower() in text for title in own):
                found.append(row)
        return found

    own, other = holds(0), holds(1)
    n = len(lower)
    p = fisher_exact([[len(own), n - len(own)], [len(other), n - len(other)]], alternative="greater").pvalue
    return own if p <= SURE else []


def _event(known: Dataset, row: int) -> str:
    events = known.events
    assert events.time is not None
    return _said(known, int(events.user[row]), int(events.item[row]), int(events.time[row]))


def _said(known: Dataset, user: int, item: int, time: int) -> str:
    moment = np.datetime64(time, "s")
    return f"item {known.item_ids.id(item)} of user {known.user_ids.id(user)} at {moment}"
