"""Planted cold starts: nothing hidden remains in training or in queries."""

import numpy as np
import pytest

from crossaisle.data.splits.cold import cold_items, last_of, sample
from crossaisle.errors import ConfigError
from tests.models.shops import tiny_shop


def test_hidden_items_are_in_no_training_event_and_no_history():
    shop = tiny_shop()
    split = cold_items(shop, share=0.2, seed=1)
    asked = {"validation": set(split.validation.target.tolist()), "test": set(split.test.target.tolist())}
    assert asked["validation"]
    assert asked["test"]
    assert not asked["validation"] & asked["test"]
    trained, past = set(split.train.events.item.tolist()), set(split.past.events.item.tolist())
    assert not trained & (asked["validation"] | asked["test"])
    assert not past & asked["test"]
    assert past >= asked["validation"]
    assert not set(split.validation.histories.item.tolist()) & (asked["validation"] | asked["test"])
    assert not set(split.test.histories.item.tolist()) & asked["test"]


def test_a_case_is_the_last_asked_event_with_all_shown_ones_before_it():
    shop = tiny_shop()
    hidden = np.zeros(shop.n_items, bool)
    hidden[: shop.n_items // 3] = True
    cases = last_of(shop, hidden, hidden)
    assert len(cases)
    for case in range(len(cases)):
        user = cases.histories.user[case]
        items = shop.events.item[shop.user_indptr[user] : shop.user_indptr[user + 1]]
        place = np.flatnonzero(hidden[items])[-1]
        assert cases.targets_of(case).tolist() == [items[place]]
        assert cases.histories.items_of(case).tolist() == [i for i in items[:place] if not hidden[i]]


def test_sample_is_seeded_and_a_wrong_share_is_refused():
    shop = tiny_shop()
    hidden = np.zeros(shop.n_items, bool)
    hidden[:3] = True
    cases = last_of(shop, hidden, hidden)
    few = sample(cases, 2, seed=3)
    assert len(few) == min(2, len(cases))
    assert np.array_equal(few.target, sample(cases, 2, seed=3).target)
    with pytest.raises(ConfigError, match=r"between 0 and 0\.5"):
        cold_items(shop, share=0.7)
