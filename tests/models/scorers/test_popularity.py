from __future__ import annotations

import numpy as np
import pytest

from crossaisle.models.scorers.popularity import Popularity
from tests.models.contract import ScorerContract
from tests.models.shops import FIRST_DAY, tiny_shop


class TestContract(ScorerContract):
    weighs_query = False
    personal = False

    def make(self) -> Popularity:
        return Popularity(half_life_days=3.0)


def test_counts_users_not_events() -> None:
    shop = tiny_shop()
    users = np.asarray(shop.matrix().sum(axis=0)).ravel()
    expected = np.where(users > 0, users / users.max(), np.nan)
    np.testing.assert_allclose(Popularity().fit(shop).score([[]])[0], expected, rtol=1e-6)


def test_an_event_one_half_life_ago_counts_half() -> None:
    shop = tiny_shop(users=1)
    scores = Popularity(half_life_days=2.0).fit(shop).popularity_
    day = dict(zip(shop.events.item, shop.events.time // 86_400 - FIRST_DAY, strict=True))  # newest wins
    for item, when in day.items():
        assert scores[item] == pytest.approx(2.0 ** (-(7 - when) / 2.0), rel=1e-5)


def test_without_times_the_order_decays() -> None:
    shop = tiny_shop(users=1, timed=False)
    scores = Popularity(half_life_days=2.0, half_life_events=2.0).fit(shop).popularity_
    place = dict(zip(shop.events.item, range(8), strict=True))
    for item, when in place.items():
        assert scores[item] == pytest.approx(2.0 ** (-(7 - when) / 2.0), rel=1e-5)


def test_an_item_of_long_ago_stays_known() -> None:
    shop = tiny_shop(users=1)
    scores = Popularity(half_life_days=0.001).fit(shop).popularity_
    assert (~np.isnan(scores)).sum() == 7


def test_the_logarithm_of_the_least_popular_item_is_0() -> None:
    shop = tiny_shop()
    share, log = Popularity().fit(shop).popularity_, Popularity(log=True).fit(shop).popularity_
    np.testing.assert_allclose(log, np.log(share) - np.nanmin(np.log(share)), rtol=1e-5, atol=1e-6)
