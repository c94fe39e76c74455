"""`past_of`, `example_users`: what users did, for people to read."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossaisle.data.kinds import ROLES
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.recommend.wording.names import category_name, item_name
from crossaisle.serve.live.recommender import LiveRecommender

EXAMPLES = 6
"""Users who are named."""
LATEST = 24
"""Items that are told."""
LOOKED_AT = 400
"""Events that they are taken from."""


def past_of(shop: LiveRecommender, user: str) -> list[dict[str, Any]]:
    """Items that a user did something with, the newest first, each once with all that was done."""
    dataset, own = shop.dataset, shop.live.of(user)
    events: list[tuple[float | None, int, str]] = []
    row = -1 if shop.live.is_forgotten(user) else dataset.user_ids.get(user)
    if row >= 0:
        log = shop.base.log_of(row)
        model = shop.base.dataset
        roles = model.meanings.roles(model.kinds, log.kind, log.value, log.quantity)
        times = [None] * len(log) if log.time is None else log.time.tolist()
        past = zip(times, log.item.tolist(), roles.tolist(), strict=True)
        events += [(time, item, ROLES[role]) for time, item, role in list(past)[-LOOKED_AT:]]
    live = zip(own.days, dataset.item_ids.rows(own.items).tolist(), own.deeds, strict=True)
    for day, item, deed in list(live)[-LOOKED_AT:]:
        if item >= 0:
            done = shop.live.meanings.meaning(deed.kind).role
            role: str = "remove" if (deed.quantity or 1) < 0 else done
            events.append((day * SECONDS_PER_DAY, item, role))
    told: dict[int, dict[str, Any]] = {}
    for time, item, role in reversed(events):
        one = told.get(item)
        if one is None:
            if len(told) >= LATEST:
                continue
            one = told[item] = {
                "item_id": dataset.item_ids.id(item),
                "title": item_name(dataset, item),
                "category": category_name(dataset, item),
                "time": time,
                "times": 0,
                "roles": [],
            }
        one["times"] += 1
        if role not in one["roles"]:
            one["roles"].append(role)
    return list(told.values())


def example_users(shop: LiveRecommender) -> list[str]:
    """Some users with a history, as different in length as they come; without deleted ones."""
    counts = np.diff(shop.base.dataset.user_indptr)
    order = np.argsort(counts, kind="stable")[int((counts == 0).sum()) :]
    if not len(order):
        return []
    at = np.unique((np.linspace(0.35, 0.95, EXAMPLES) * (len(order) - 1)).astype(np.int64))
    names = shop.base.dataset.user_ids.ids(order[at])
    return [name for name in names if not shop.live.is_forgotten(name)]
