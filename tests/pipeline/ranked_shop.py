"""A shop in which no sum of scores is right: the next item is a popular one of the next category."""

from __future__ import annotations

import numpy as np

from crossaisle.data.dataset import Dataset
from tests.evaluate.shops import shop

CATEGORIES, PER_CATEGORY = 6, 40


def wandering(users: int = 500, seed: int = 0) -> Dataset:
    """Everybody goes from one category to the next, and takes what is popular there."""
    rng = np.random.default_rng(seed)
    popular = 1.0 / (np.arange(PER_CATEGORY) + 2.0)
    popular /= popular.sum()
    events = []
    for user in range(users):
        start = rng.integers(CATEGORIES)
        days = np.sort(np.concatenate([rng.uniform(0, 80, 6), rng.uniform(80, 100, 3)]))
        for step, day in enumerate(days.tolist()):
            category = int(start + step) % CATEGORIES
            item = int(rng.choice(PER_CATEGORY, p=popular)) * CATEGORIES + category
            events.append((user, item, day))
    return shop(events, [f"c{i % CATEGORIES}" for i in range(CATEGORIES * PER_CATEGORY)])
