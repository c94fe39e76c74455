"""Windows of time before validation: what a shop knew at earlier moments, and what people did next."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.split import window_cases
from crossaisle.data.units import SECONDS_PER_DAY

LEAST_KNOWN = 0.5
"""A window counts if this share of the training events lies before it: before that, the shop was another."""


def windows_before(split: Split, most: int) -> Iterator[tuple[Dataset, EvalCases]]:
    """The shop as it stood before each window, and the window's cases; the newest window first.

    For a temporal split. Each window is as long as validation, and the first one ends where validation
    begins. At most `most`, and none that too little happened before.
    """
    train, validation = split.train, split.validation
    time = train.events.time
    if time is None or not len(validation) or not len(split.test):
        return
    end = round(float(validation.histories.now[0]) * SECONDS_PER_DAY)
    length = round(float(split.test.histories.now[0]) * SECONDS_PER_DAY) - end
    for _ in range(most):
        start = end - length
        if np.count_nonzero(time < start) < LEAST_KNOWN * len(time):
            return
        known = train.before(start)
        wanted = (time >= start) & (time < end) & train.wanted
        yield known, window_cases(train, known, wanted, start / SECONDS_PER_DAY, validation.mask_seen)
        end = start
