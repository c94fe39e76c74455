"""Shops that differ in how often the same people buy, or view, the same again."""

from __future__ import annotations

import numpy as np

from crossaisle.data.dataset import Dataset
from tests.evaluate.shops import shop

Triple = tuple[int, int, float]
ITEMS, CATEGORIES = 240, 6
PATHS = [f"c{i % CATEGORIES}" for i in range(ITEMS)]


def _from(events: list[Triple]) -> Dataset:
    return shop(sorted(events, key=lambda e: (e[0], e[2])), PATHS)


def _first_time(rng: np.random.Generator, user: int, n: int) -> list[Triple]:
    """`n` different items of a taste shared with a tenth of the users, over 80 days."""
    taste = np.flatnonzero(np.arange(ITEMS) // 24 == user % 10)
    chosen = rng.choice(taste, n, replace=False).tolist()
    return [
        (user, item, float(day)) for item, day in zip(chosen, np.sort(rng.uniform(0, 80, n)), strict=True)
    ]


def bought_once(users: int = 300) -> Dataset:
    """Nobody ever buys the same again."""
    rng = np.random.default_rng(0)
    events: list[Triple] = []
    for user in range(users):
        early = _first_time(rng, user, 12)
        late = rng.uniform(80, 100, 4)
        events += early[:8] + [
            (user, item, float(d)) for (_, item, _), d in zip(early[8:], late, strict=True)
        ]
    return _from(events)


def view_log(users: int = 300) -> Dataset:
    """Whoever looks at a product looks at it three times within minutes, and never comes back to it."""
    once = bought_once(users).events
    assert once.time is not None
    events = [
        (user, item, second / 86_400 + 0.002 * again)
        for user, item, second in zip(once.user.tolist(), once.item.tolist(), once.time.tolist(), strict=True)
        for again in range(3)
    ]
    return _from(events)


def supermarket(users: int = 400, repeated: float = 0.19) -> Dataset:
    """A share `repeated` of what is bought in the last days was bought before; few pairs repeat overall.

    What is new to a user is hard to guess: no product is much more popular than another.
    """
    rng = np.random.default_rng(1)
    popular = 1.0 / (np.arange(ITEMS) + 40.0)
    popular /= popular.sum()
    events: list[Triple] = []
    for user in range(users):
        chosen = rng.choice(ITEMS, 14, replace=False, p=popular)
        past = chosen[:10].tolist()
        events += [
            (user, item, float(d)) for item, d in zip(past, np.sort(rng.uniform(0, 70, 10)), strict=True)
        ]
        for item in chosen[10:].tolist():
            again = rng.random() < repeated
            events.append((user, int(rng.choice(past)) if again else int(item), float(rng.uniform(70, 100))))
    return _from(events)
