"""Histories read from a store at once are those that the same events make one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.kinds import KindConfig, Kinds
from crossaisle.serve.limits.live import HistoryLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.stored import StoredPairs
from crossaisle.serve.store.packed.reading import read_rows
from crossaisle.serve.store.records import Event, EventRow

USERS, DAY = ("ann", "bob", "cy"), 86_400.0
LIMITS = HistoryLimits(user_events=6)
events = st.builds(
    Event,
    st.none(),
    st.sampled_from(USERS),
    st.sampled_from(("milk", "rice", "tea")),
    st.sampled_from(("purchase", "view", "return", "dislike", "nonsense")),
    st.sampled_from([DAY * day for day in (0.0, 1.0, 1.5, 2.0, 90.0)]),
    st.sampled_from((None, 1.0, 4.5)),
    st.sampled_from((None, -1.0, 2.0)),
)
batches = st.lists(st.lists(events, min_size=1, max_size=8), max_size=3)


def rows(some: Sequence[Event]) -> list[EventRow]:
    return [
        (seq, one.user, one.item, one.kind, one.value, one.quantity, one.time)
        for seq, one in enumerate(some, 1)
    ]


def both(before: list[list[Event]]) -> tuple[LiveHistories, LiveHistories]:
    """Made one by one, and from what a store has."""
    every = [event for batch in before for event in batch]
    numbered, portions, start = rows(every), [], 0
    for batch in before:
        portions.append(numbered[start : start + len(batch)])
        start += len(batch)
    stored = read_rows(lambda _: filter(None, portions))
    return LiveHistories(every, limits=LIMITS), LiveHistories(stored=stored, limits=LIMITS)


def counted(live: LiveHistories) -> dict[tuple[str, tuple[str, str]], float]:
    pairs, users, items = live.trends.pairs(), list(live.trends.users), list(live.trends.items)
    found = list(zip(pairs.user.tolist(), pairs.item.tolist(), pairs.day.tolist(), strict=True))
    assert len({one[:2] for one in found}) == len(found)
    others = StoredPairs(live.stored, live.meanings, live.trends.items, 0)
    there = np.setdiff1d(np.arange(live.stored.n_users), pairs.moved)
    items = list(live.trends.items)
    rest = [one.tolist() for one in others(there)]
    items = list(live.trends.items)
    found += sorted(zip(*rest, strict=True), key=lambda one: one[2])
    return {(users[user], items[item]): day for user, item, day in found}


def check(one: LiveHistories, other: LiveHistories) -> None:
    for user in (*USERS, "nobody"):
        assert one.of(user) == other.of(user)
        assert other.of(user) is other.of(user)
    assert set(other.names()) == set(one.names())
    assert counted(other) == counted(one)
    for end in (math.nan, -1.0, 0.0, 1.2, 40.0):
        assert other.gaps_after(end) == one.gaps_after(end)
    assert bool(other.negatives) == bool(one.negatives)


@given(batches)
def test_they_are_the_same_after_a_start(before: list[list[Event]]) -> None:
    one, other = both(before)
    check(one, other)
    assert other.last_stored == sum(map(len, before))
    assert other.negatives == one.negatives


@given(batches, batches)
def test_they_are_the_same_after_more_events(before: list[list[Event]], after: list[list[Event]]) -> None:
    one, other = both(before)
    for batch in after:
        one.add(batch)
        other.add(batch)
    check(one, other)


@given(batches, st.sampled_from(USERS), st.sampled_from((1.0, 3.0, 200.0)))
def test_they_are_the_same_after_a_deletion(before: list[list[Event]], user: str, days: float) -> None:
    one, other = both(before)
    for live in (one, other):
        live.forget(user, days * DAY)
    check(one, other)


@given(batches, st.sampled_from(USERS), st.sampled_from(("milk", "tea")))
def test_they_are_the_same_after_one_event_was_withdrawn(
    before: list[list[Event]], user: str, item: str
) -> None:
    one, other = both(before)
    for live in (one, other):
        live.withdraw(user, lambda name, day, deed: name == item)
    check(one, other)


@given(batches, events)
def test_they_are_the_same_under_another_model(before: list[list[Event]], more: Event) -> None:
    one, other = both([batch[:2] for batch in before])  # fewer than are kept: none is in the store alone
    for live in (one, other):
        live.add([more])
        live.use(Kinds({"nonsense": KindConfig(means="purchase")}))
    check(one, other)


def test_what_a_deleted_user_did_is_not_in_memory() -> None:
    _, live = both([[Event(None, user, "milk", "purchase", DAY) for user in USERS]])
    live.forget("bob", 2 * DAY)
    assert live.stored.of("bob", 10) is None or set(live.stored.of("bob", 10).days) != {1.0}
    assert live.of("bob").items == ()
    assert live.of("ann").items == live.of("cy").items == ("milk",)
