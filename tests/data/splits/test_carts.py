"""Carts: a few items of a basket ask for what else is in it, from other categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.carts import VIEWED, cart_cases, has_baskets
from tests.models.shops import tiny_shop


def with_baskets(*, each: int = 4) -> Dataset:
    """Every `each` events of a user are one basket."""
    shop = tiny_shop()
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


def test_baskets_of_one_category_ask_nothing() -> None:
    assert len(cart_cases(with_baskets(each=1), np.ones(len(tiny_shop().events), bool))) == 0


def test_a_basket_that_is_the_user_is_not_a_trip() -> None:
    assert has_baskets(with_baskets())
    assert not has_baskets(tiny_shop())
    assert not has_baskets(replace(with_baskets(), users_are_baskets=True))
