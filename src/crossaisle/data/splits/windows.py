"""Time windows before validation: what a shop knew at earlier times, and what users did next."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.split import window_cases
from crossaisle.data.units import SECONDS_PER_DAY

LEAST_KNOWN = 0.5
"""Share of the training events that must precede a window: before that, the shop was too different."""


def windows_before(split: Split, most: int) -> Iterator[tuple[Dataset, EvalCases]]:
    """The shop as known before each window, with the window's cases; newest window first.

    For a temporal split; see `bounds_before`.
    """
    train, time = split.train, split.train.events.time
    for start, end in bounds_before(split, most):
        assert time is not None
        known = train.before(start)
        wanted = (time >= start) & (time < end) & train.wanted
        yield known, window_cases(train, known, wanted, start / SECONDS_PER_DAY, split.validation.mask_seen)


def bounds_before(split: Split, most: int) -> list[tuple[int, int]]:
    """First second of each window, and of what follows it; newest window first.

    Each window is as long as validation, and the newest ends where validation begins. Returns at most `most`,
    and none preceded by too few events.
    """
    time, validation = split.train.events.time, split.validation
    if time is None or not len(validation) or not len(split.test):
        return []
    end = round(float(validation.histories.now[0]) * SECONDS_PER_DAY)
    length = round(float(split.test.histories.now[0]) * SECONDS_PER_DAY) - end
    bounds = [(end - length * (at + 1), end - length * at) for at in range(most)]
    enough = LEAST_KNOWN * len(time)
    return list(takewhile(lambda window: np.count_nonzero(time < window[0]) >= enough, bounds))
