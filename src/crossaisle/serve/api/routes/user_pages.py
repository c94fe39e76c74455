"""What the store knows about a user, in pages: nobody's history is too long to be read."""

from __future__ import annotations

from typing import Any

from crossaisle.serve.experiments.log import ExperimentLog
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Store

LISTS = 200
"""Lists of a page; each may have 100 items."""


def page(store: Store, log: ExperimentLog, user: str, n: int, after: int, shown_after: int) -> dict[str, Any]:
    """Events and lists shown, in the order in which they came, and where the next page begins."""
    total, shown_total = store.counts_of(user)
    rows = store.events_page(user, after, n + 1)
    shown = log.exposures_of(user, shown_after, LISTS + 1)
    return {
        "events": [event._asdict() for _, event in rows[:n]],
        "total": total,
        "next": rows[n - 1][0] if len(rows) > n else None,
        "shown": [one._asdict() for _, one in shown[:LISTS]],
        "shown_total": shown_total,
        "shown_next": shown[LISTS - 1][0] if len(shown) > LISTS else None,
    }


async def known(service: ShopService, user: str) -> bool:
    """Whether anything is, or was before the user was deleted."""
    if service.live.is_forgotten(user) or service.live.of(user).items:
        return True
    if service.shop.dataset.user_ids.get(user) >= 0 or user in service.experiments.users():
        return True
    return await service.read(service.store.knows, user)
