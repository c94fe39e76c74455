"""RecentSales: what sold before a day, to everybody or to people like a history; shortlists of parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.studies.cross_domain import Shortlists, _ndcg
from crossaisle.studies.recent_sales import LEAST, RecentSales
from tests.models.shops import tiny_shop

DAY = 86_400


def shop_of(sales: list[tuple[int, str, int]]) -> Dataset:
    """(user, item, day) in the catalogue of the tiny shop."""
    plain = tiny_shop(users=6)
    n = len(sales)
    order = sorted(sales, key=lambda sale: (sale[0], sale[2]))
    events = Events(
        user=np.array([user for user, _, _ in order], np.int32),
        item=np.array([plain.item_ids.row(item) for _, item, _ in order], np.int32),
        time=np.array([day * DAY + 3600 for _, _, day in order], np.int64),
        kind=np.zeros(n, np.int8),
        value=np.full(n, np.nan, np.float32),
        quantity=np.ones(n, np.float32),
        basket=np.full(n, -1, np.int32),
    )
    return replace(plain, events=events)


def asked(shop: Dataset, items: list[str], now: float) -> Histories:
    histories = Histories.of([[shop.item_ids.row(item) for item in items]])
    return replace(histories, day=np.full(len(items), now - 1.0), now=np.array([now]))


def test_a_sale_counts_half_for_each_half_life_and_nothing_from_that_day_on() -> None:
    shop = shop_of([(0, "milk0", 10), (1, "milk0", 16), (1, "milk1", 19), (2, "milk1", 20), (3, "milk2", 25)])
    found = RecentSales(half_life_days=4.0).fit(shop)
    inside = np.isin(np.arange(shop.n_items), shop.item_ids.rows(["milk0", "milk1", "milk2"]))
    (scores,) = found.scores(asked(shop, ["bread0"], 20.0), inside)
    expected = np.log(LEAST + np.array([0.5**2.5 + 0.5, 0.5**0.25, 0.0]))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_only_people_count_who_had_a_category_of_the_history_by_then() -> None:
    shop = shop_of(
        [
            (0, "bread1", 1),
            (0, "milk0", 9),
            (1, "spade1", 1),
            (1, "milk1", 9),
            (2, "milk2", 9),
            (2, "bread2", 11),
        ]
    )
    found = RecentSales(half_life_days=10.0, depth=-1).fit(shop)
    inside = np.isin(np.arange(shop.n_items), shop.item_ids.rows(["milk0", "milk1", "milk2"]))
    (scores,) = found.scores(asked(shop, ["bread0"], 10.0), inside)
    expected = np.log(LEAST + np.array([0.5**0.1, 0.0, 0.0]))  # the third had bread only later
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_needs_times() -> None:
    shop = tiny_shop()
    with pytest.raises(ValueError, match="need events with times"):
        RecentSales(half_life_days=4.0).fit(replace(shop, events=replace(shop.events, time=None)))


def test_shortlists_of_everything_measure_what_all_items_do() -> None:
    rng = np.random.default_rng(0)
    inside = rng.random(90) < 0.6
    m, lists = int(inside.sum()), [rng.choice(np.flatnonzero(inside), n, replace=False) for n in (1, 3, 12)]
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    cases = EvalCases(Histories.of([[0]] * 3), indptr, np.concatenate(lists).astype(np.int32))
    parts = {name: rng.random((3, m)).astype(np.float32) for name in ("one", "other")}
    both = Shortlists.of(parts, cases, inside)
    total = parts["one"] + parts["other"]
    of_lists = both.ndcg(both.scores["one"] + both.scores["other"])
    np.testing.assert_allclose(of_lists, _ndcg(total, cases, inside), rtol=1e-5)
    assert of_lists.max() > 0
