"""Windows before validation: each as long as it, and nothing known of what came later."""

from __future__ import annotations

import numpy as np

from crossaisle.data.splits.split import leave_last_out, temporal_split
from crossaisle.data.splits.windows import windows_before
from crossaisle.data.units import SECONDS_PER_DAY
from tests.evaluate.shops import shop


def test_windows_lie_end_to_end_before_validation() -> None:
    days = np.arange(100)
    dataset = shop([(0, int(day) % 7, float(day)) for day in days], ["a"] * 7)
    split = temporal_split(dataset, validation_from="1970-03-22", test_from="1970-04-01")  # days 80 and 90
    found = list(windows_before(split, 9))
    assert [float(cases.histories.now[0]) for _, cases in found] == [70.0, 60.0, 50.0, 40.0]  # half is known
    for known, cases in found:
        start = float(cases.histories.now[0])
        assert known.events.time is not None
        assert known.events.time.max() / SECONDS_PER_DAY == start - 1
        assert cases.histories.items_of(0).tolist() == (days[days < start] % 7).tolist()
        assert set(cases.targets_of(0).tolist()) == set(range(7))
        assert cases.mask_seen == split.validation.mask_seen
    assert len(list(windows_before(split, 2))) == 2


def test_without_times_there_are_none() -> None:
    split = leave_last_out(shop([(u, i, None) for u in range(3) for i in range(4)], ["a"] * 4))
    assert list(windows_before(split, 2)) == []
