"""BorrowedBehaviour: the contract, and a new product that is placed by what similar ones go with."""

import numpy as np

from crossaisle.data.history import Histories
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestBorrowedBehaviour(ScorerContract):
    scores_cold = True

    def make(self) -> Scorer:
        return BehaviourTransfer()


def test_own_behaviour_takes_over_as_events_come_in() -> None:
    shop = tiny_shop()
    always = BehaviourTransfer().fit(shop)
    mixed = BehaviourTransfer(own=5.0).fit(shop)
    count = shop.item_counts
    expected = count / (count + 5.0)
    assert np.allclose(mixed.kernel_.diagonal(), expected, atol=1e-6)
    assert not always.kernel_.diagonal().any()


def test_a_kernel_made_earlier_lends_nothing_from_items_without_events() -> None:
    shop = tiny_shop()
    item = int(np.argmax(shop.item_counts))
    model = BehaviourTransfer()
    unit = np.ones((shop.n_items, 1), np.float32)
    kernel = model.kernel(unit, np.ones(shop.n_items, bool))
    model.fit_kernels(shop.with_events(shop.events.item != item), [kernel])
    assert not model.kernel_[:, [item]].toarray().any()
    assert model.kernel_[[item]].toarray().any()  # but it borrows
    assert np.isfinite(model.score_rows(Histories.of([[1 if item == 0 else 0]]))[0, item])
