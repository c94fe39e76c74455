"""Carts: a few items of a basket ask for what else is in it, from other categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.carts import VIEWED, cart_cases, carts_of_users, has_baskets
from tests.models.shops import tiny_shop


def with_baskets(*, each: int = 4, users: int = 24) -> Dataset:
    """Every `each` events of a user are one basket."""
    shop = tiny_shop(users=users)
    basket = (np.arange(len(shop.events)) // each).astype(np.int32)
    return replace(shop, events=replace(shop.events, basket=basket))


def test_targets_are_the_rest_of_the_basket_from_other_categories() -> None:
    shop = with_baskets()
    held = np.arange(len(shop.events)) < 80
    cases, codes = cart_cases(shop, held), shop.taxonomy.codes()
    baskets = [set(shop.events.item[i : i + 4].tolist()) for i in range(0, 80, 4)]
    assert len(cases)
    assert set(cases.histories.lengths.tolist()) <= set(range(1, VIEWED + 1))
    for row in range(len(cases)):
        cart, rest = cases.histories.items_of(row), cases.targets_of(row)
        assert not np.isin(codes[rest], codes[cart]).any()
        left = [b for b in baskets if set(cart.tolist()) | set(rest.tolist()) <= b]
        assert any(set(np.array([*b])[~np.isin(codes[[*b]], codes[cart])]) == set(rest) for b in left)


def test_carts_know_whose_they_are() -> None:
    shop = with_baskets()
    everything = np.ones(len(shop.events), bool)
    alone = cart_cases(shop, everything)
    known = carts_of_users(shop, everything, mask_seen=False)
    assert alone.of is not None
    assert known.of is not None
    assert known.of.tolist() == known.histories.user.tolist()
    some = alone.take(np.arange(0, len(alone), 2))
    assert some.of is not None
    assert some.of.tolist() == alone.of[::2].tolist()
    assert len(np.unique(alone.of)) < len(alone)


def test_baskets_of_one_category_ask_nothing() -> None:
    assert len(cart_cases(with_baskets(each=1), np.ones(len(tiny_shop().events), bool))) == 0


def test_a_basket_that_is_the_user_is_not_a_trip() -> None:
    assert has_baskets(with_baskets())
    assert not has_baskets(tiny_shop())
    assert not has_baskets(replace(with_baskets(), users_are_baskets=True))


def test_a_cart_of_a_user_stands_behind_what_the_user_had_before() -> None:
    shop = with_baskets(each=2)
    held = np.arange(len(shop.events)) % 8 >= 4
    alone, known = cart_cases(shop, held, seed=3), carts_of_users(shop, held, mask_seen=False, seed=3)
    assert not known.mask_seen
    np.testing.assert_array_equal(known.histories.carts.item, alone.histories.item)
    np.testing.assert_array_equal(known.target, alone.target)
    own = known.histories.own
    for row in range(len(known)):
        user = int(own.user[row])
        everything = shop.events.item[shop.user_indptr[user] : shop.user_indptr[user + 1]].tolist()
        assert own.items_of(row).tolist() == everything[: len(own.items_of(row))]
        assert (own.day[own.owner == row] < own.now[row]).all()
        basket = {*everything[len(own.items_of(row)) :][:2]}
        assert {*known.histories.carts.items_of(row).tolist(), *known.targets_of(row).tolist()} <= basket


def test_carts_of_users_without_a_past_are_left_out() -> None:
    shop = with_baskets()
    first = np.arange(len(shop.events)) % 8 < 4
    assert len(cart_cases(shop, first))
    assert len(carts_of_users(shop, first, mask_seen=True)) == 0
