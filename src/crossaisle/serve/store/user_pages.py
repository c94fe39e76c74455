"""What the store knows about a person, in pages: nobody's history is too long to be read."""

from __future__ import annotations

from typing import Any

from crossaisle.serve.experiments.log import ExperimentLog
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.engine import COLUMNS, Event
from crossaisle.serve.store.store import Store

LISTS = 200
"""Lists of a page; each may have 100 items."""


def page(store: Store, log: ExperimentLog, user: str, n: int, after: int, shown_after: int) -> dict[str, Any]:
    """Events and lists shown, in the order in which they came, and where the next page begins."""
    query = f'SELECT seq, {COLUMNS} FROM events WHERE "user" = ? AND seq > ? ORDER BY seq LIMIT ?'
    with store.reading() as connection:
        total = _count(connection, "events", user)
        shown_total = _count(connection, "exposures", user)
        rows = connection.execute(query, (user, after, n + 1)).fetchall()
    shown = log.exposures_of(user, shown_after, LISTS + 1)
    return {
        "events": [Event(*columns)._asdict() for _, *columns in rows[:n]],
        "total": total,
        "next": rows[n - 1][0] if len(rows) > n else None,
        "shown": [one._asdict() for _, one in shown[:LISTS]],
        "shown_total": shown_total,
        "shown_next": shown[LISTS - 1][0] if len(shown) > LISTS else None,
    }


def _count(connection: Any, table: str, user: str) -> int:
    query = f'SELECT count(*) FROM {table} WHERE "user" = ?'
    return int(connection.execute(query, (user,)).fetchone()[0])


async def known(service: ShopService, user: str) -> bool:
    """Whether anything is, or was before the person was deleted."""
    if service.live.is_forgotten(user) or service.live.of(user).items:
        return True
    if service.shop.dataset.user_ids.get(user) >= 0 or user in service.experiments.people():
        return True
    return await service.read(_kept, service.store, user)


def _kept(store: Store, user: str) -> bool:
    if store.user(user) is not None:
        return True
    digest = store.digest_of(user)
    with store.reading() as connection:
        # A worker that died amid the deletion may have told nobody of it, and left the rest of it to do.
        query = "SELECT count(*) FROM forgotten WHERE digest = ?"
        if connection.execute(query, (digest,)).fetchone()[0]:
            return True
        return any(_count(connection, table, user) for table in ("events", "exposures"))
