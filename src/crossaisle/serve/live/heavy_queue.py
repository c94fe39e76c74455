"""`Heavy`: what takes long has a queue and a thread of its own, so that plain lists pass it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from crossaisle.data.query import Query
from crossaisle.errors import CrossaisleError

T = TypeVar("T")
LONGEST = 100
"""Places of a list, those passed over among them: what one page holds. Milliseconds more are not plain."""
DIVERSE = 50
"""With diversity, where each place looks at all that are left."""
NAMES = 20
"""Categories that a question may name: each is looked up, and each quota is kept to place by place."""
ITEMS = 1000
"""Item ids that a question may include or exclude, as many as a session may have."""
WAITING = 64
"""Heavy questions that wait or are being answered; more are refused with 503. The last one waits seconds."""
EACH = 8
"""Of these, so many may be of one key (or address, where there is no key): others get their turn."""


class Overloaded(CrossaisleError):
    """More questions are waiting than can be answered in time."""

    status = 503


class TooMany(CrossaisleError):
    """One client has too many heavy questions waiting."""

    status = 429


def is_heavy(query: Query) -> bool:
    """Whether a question takes so long that plain ones must not wait for it."""
    named = len(query.include_categories) + len(query.exclude_categories) + len(query.quotas)
    items = len(query.include_items) + len(query.exclude_items)
    long = query.depth > (DIVERSE if query.diversity else LONGEST)
    return query.explain or long or named > NAMES or items > ITEMS


class Heavy:
    """Of one service."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "heavy")
        self._of: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether anybody waits."""
        return bool(self._of)

    async def run(self, client: str, work: Callable[..., T], *arguments: Any) -> T:
        """Does some work in the thread; `Overloaded`, or `TooMany` for the client."""
        if self._of.total() >= WAITING:
            raise Overloaded("too many heavy questions are waiting: try again in a moment")
        if self._of[client] >= EACH:
            raise TooMany(
                f"{EACH} heavy questions of yours are waiting (explanations, long lists): "
                "wait for an answer before you ask the next one"
            )
        self._of[client] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._of[client] -= 1
            if not self._of[client]:
                del self._of[client]

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=True)
