from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossaisle.data.history import Decay
from crossaisle.models.scorers.frequency import Frequency, PersonalPopularity
from tests.data.splits.test_carts import with_baskets
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestContract(ScorerContract):
    weighs_fit = False

    def make(self) -> Frequency:
        return Frequency(decay=Decay(events=4.0))

    def test_the_group_that_buys_together_comes_first(self) -> None:  # type: ignore[override]
        """Frequency knows nothing of other items; what it does know is tested below."""


def test_counts_and_recency() -> None:
    model = Frequency(decay=Decay(events=2.0)).fit(tiny_shop())
    milk, bread, other = model.score([["milk0", "bread0", "milk0"]], ["milk0", "bread0", "milk1"])[0]
    assert milk == pytest.approx(1.0 + np.exp(-1.0), rel=1e-6)
    assert bread == pytest.approx(np.exp(-0.5), rel=1e-6)
    assert np.isnan(other)


class TestPersonalPopularity(ScorerContract):
    exact_evidence = False

    def make(self) -> PersonalPopularity:
        return PersonalPopularity(decay=Decay(events=20.0), shrink=0.2)


def test_shares_of_a_user_back_off_to_those_of_everybody() -> None:
    shop = with_baskets()
    model = PersonalPopularity(decay=Decay(), shrink=2.0, half_life_days=None).fit(shop)
    share = shop.basket_matrix().toarray().mean(axis=0)
    rows = shop.item_ids.rows(["milk0", "bread1", "milk2"])
    found = model.score([["milk0", "bread1", "milk0"]], ["milk0", "bread1", "milk2"])[0]
    expected = np.log(np.array([2.0, 1.0, 0.0]) + 2.0 * share[rows])
    np.testing.assert_allclose(found - found[2], expected - expected[2], rtol=1e-5)


def test_baskets_that_are_held_out_count_for_nobody() -> None:
    """They keep their number, but hold nothing."""
    shop = with_baskets()
    kept = shop.with_events(np.flatnonzero(shop.events.basket % 3 != 1))
    renumbered = np.unique(kept.events.basket, return_inverse=True)[1].astype(np.int32)
    dense = replace(kept, events=replace(kept.events, basket=renumbered))
    for half_life in (None, 20.0):
        models = [PersonalPopularity(half_life_days=half_life).fit(one) for one in (kept, dense)]
        np.testing.assert_allclose(models[0].share_, models[1].share_, rtol=1e-6)
