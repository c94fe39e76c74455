"""Cold users, cold categories, and events held out at random."""

import datetime

import numpy as np
import pytest

from crossaisle.config import SplitConfig
from crossaisle.data.splits.cold import cold_categories, cold_users
from crossaisle.data.splits.split import random_split
from crossaisle.errors import ConfigError, DataError
from crossaisle.pipeline.fit import split_of
from tests.models.shops import tiny_shop


@pytest.mark.parametrize("given", [1, 3])
def test_cold_users_bring_their_first_events_along(given: int):
    shop = tiny_shop(users=40)
    found = cold_users(shop, share=0.2, given=given, seed=1)
    assert len(found.test) == len(found.validation) == 8
    for known, cases in ((found.train, found.validation), (found.past, found.test)):
        assert not set(known.events.user.tolist()) & set(cases.histories.user.tolist())
        for case in range(len(cases)):
            start = shop.user_indptr[cases.histories.user[case]]
            own = shop.events.item[start : start + 8].tolist()
            assert cases.histories.items_of(case).tolist() == own[:given]
            assert cases.targets_of(case).tolist() == [next(i for i in own[given:] if i not in own[:given])]
    assert set(found.past.events.user.tolist()) >= set(found.validation.histories.user.tolist())
    assert cold_users(shop, share=0.2, given=given, seed=2).test.histories.user.tolist() != (
        found.test.histories.user.tolist()
    )


def test_cold_categories_lose_every_event():
    shop = tiny_shop(users=40)
    found = cold_categories(shop, share=0.25, seed=0)
    codes = shop.taxonomy.codes()
    asked = {
        name: set(codes[cases.target].tolist())
        for name, cases in (("v", found.validation), ("t", found.test))
    }
    assert asked["v"]
    assert asked["t"]
    assert not asked["v"] & asked["t"]
    assert not set(codes[found.train.events.item].tolist()) & (asked["v"] | asked["t"])
    assert not set(codes[found.past.events.item].tolist()) & asked["t"]
    assert not set(codes[found.test.histories.item].tolist()) & asked["t"]
    assert "1 categories hidden" in found.notes[0]


def test_random_holds_out_a_share_whatever_its_time():
    shop = tiny_shop(users=40)
    found = random_split(shop, share=0.25, seed=0)
    assert len(shop.events) - len(found.past.events) == 80
    assert len(found.past.events) - len(found.train.events) == 80
    held = set()
    for case in range(len(found.test)):
        held |= {(int(found.test.histories.user[case]), int(i)) for i in found.test.targets_of(case)}
    every = set(zip(shop.events.user.tolist(), shop.events.item.tolist(), strict=True))
    assert held <= every
    assert "models have seen later events" in found.notes[0]
    days = found.past.events.time
    assert (days > np.median(shop.events.time)).any()


def test_the_configuration_names_them():
    shop = tiny_shop(users=40)
    for protocol in ("random", "cold_items", "cold_users", "cold_categories"):
        found = split_of(shop, SplitConfig(protocol=protocol, test=0.25))
        assert found.protocol == protocol
    dated = SplitConfig(protocol="cold_users", test=datetime.date(2016, 7, 20))
    with pytest.raises(ConfigError, match="takes a share for test"):
        split_of(shop, dated)


def test_what_cannot_be_done_is_said():
    shop = tiny_shop(users=4)
    with pytest.raises(DataError, match="4 users with more than 1 events are too few"):
        cold_users(shop, share=0.1)
    with pytest.raises(DataError, match="4 categories cannot be cut into parts of about 10% of the events"):
        cold_categories(shop, share=0.1)
    with pytest.raises(ConfigError, match="share of cold users"):
        cold_users(shop, share=0.5)
    with pytest.raises(ConfigError, match="share of held-out events"):
        random_split(shop, share=0.0)
    with pytest.raises(ConfigError, match="given must be 1"):
        cold_users(shop, given=0)
