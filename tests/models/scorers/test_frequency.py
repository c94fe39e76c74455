from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Decay
from crossaisle.models.scorers.frequency import Frequency
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestContract(ScorerContract):
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
