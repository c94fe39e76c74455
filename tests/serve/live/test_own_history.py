"""The short way to a user's history gives what settling the whole log gives."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.history import Histories
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.live.own import Deed
from crossaisle.serve.live.own_history import MOST_DEEDS, OnPurchases, own_history
from tests.models.shops import tiny_shop

SHOP = tiny_shop(users=20)
MODEL = OnPurchases(SHOP)
KINDS = ("view", "cart", "purchase", "favourite", "rating", "remove_from_cart", "impression", "dislike")
events = st.lists(
    st.tuples(
        st.integers(-1, 5),
        st.sampled_from([0.0, 1.0, 60.0, 1799.0, 1800.0, 90_000.0]),
        st.sampled_from(KINDS),
        st.sampled_from([None, None, 2.0, -1.0]),
    ),
    min_size=1,
    max_size=12,
)


def short_and_long(
    row: int, some: list[tuple[int, float, str, float | None]]
) -> tuple[Histories | None, Histories]:
    past = SHOP.histories()
    now = float(past.now[0])
    rows = np.array([item for item, _, _, _ in some], np.int32)
    days = now + 1 + np.cumsum([after for _, after, _, _ in some]) / SECONDS_PER_DAY
    live = rows, days, tuple(Deed(kind, after / 400, quantity) for _, after, kind, quantity in some)
    log = SHOP.events.take(slice(0, 0) if row < 0 else slice(*SHOP.user_indptr[row : row + 2].tolist()))
    own = past.take([row]) if row >= 0 else Histories.of([[]])
    return MODEL.settled(own, live, now), own_history(log, row, SHOP, SHOP.n_items, live, now)


@settings(deadline=None, max_examples=200)
@given(st.integers(-1, 3), events)
def test_the_short_and_the_long_way_give_the_same_history(
    row: int, some: list[tuple[int, float, str, float | None]]
) -> None:
    short, long = short_and_long(row, some)
    if short is None:
        return
    for name in (field.name for field in fields(Histories)):
        mine, theirs = getattr(short, name), getattr(long, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
            assert mine.dtype == theirs.dtype, name


def test_a_look_and_a_purchase_go_the_short_way() -> None:
    short, _ = short_and_long(1, [(2, 0.0, "view", None), (3, 5.0, "purchase", None)])
    assert short is not None
    assert short.item[-2:].tolist() == [2, 3]


@pytest.mark.parametrize("kind", ["dislike", "remove_from_cart"])
def test_an_event_that_takes_another_back_goes_the_long_way(kind: str) -> None:
    assert short_and_long(1, [(2, 0.0, "view", None), (2, 5.0, kind, None)])[0] is None


def test_an_event_that_the_model_may_have_seen_goes_the_long_way() -> None:
    past = SHOP.histories().take([1])
    live = past.item[-1:], past.day[-1:], (Deed("view"),)
    assert MODEL.settled(past, live, float(past.now[0])) is None


def test_thousands_of_prices_leave_the_short_way_open() -> None:
    past = SHOP.histories().take([1])
    now = float(past.now[0])
    model = OnPurchases(SHOP)
    for cents in range(0, 5000, 25):
        deeds = tuple(Deed("purchase", (cents + more) / 100, 1.0 + more) for more in range(25))
        live = np.arange(25, dtype=np.int32) % 6, now + 1 + np.arange(25) / 24, deeds
        short = model.settled(past, live, now)
        assert short is not None
    assert len(model._worth) == 1
    for number in range(2 * MOST_DEEDS):  # kinds are named by whoever sends events
        live = np.zeros(1, np.int32), np.array([now + 1]), (Deed(f"view-{number}"),)
        assert model.settled(past, live, now) is None
    assert len(model._worth) <= MOST_DEEDS
