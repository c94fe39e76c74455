"""`Attribution`: which events followed a list that the user was shown, within a window."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from crossaisle.data.kinds import Kinds
from crossaisle.serve.limits.live import InsightLimits
from crossaisle.serve.store.records import Event

Step = Literal["clicks", "carts", "purchases"]
STEPS: Mapping[str, Step] = {"view": "clicks", "cart": "carts", "purchase": "purchases"}
"""What events of a role count as."""
AHEAD_SECONDS = 5.0
"""A clock of the shop's may be behind the service's by this much."""


class Source(NamedTuple):
    """What made a list."""

    placement: str
    experiment: str = ""
    arm: str = ""
    """"" for lists outside experiments, and for interleaved ones."""


class Due(NamedTuple):
    """An event that is due to a list."""

    source: Source
    step: Step
    event: Event


@dataclass(slots=True)
class _Shown:
    time: float
    source: Source
    items: tuple[str, ...]
    done: set[tuple[str, Step]] = field(default_factory=set)


class Attribution:
    """The latest lists of the latest users. Changed by the event loop only."""

    def __init__(self, limits: InsightLimits = InsightLimits()) -> None:
        self._limits = limits
        self._shown: OrderedDict[str, deque[_Shown]] = OrderedDict()

    def shown(self, user: str, source: Source, items: Sequence[str], now: float) -> bool:
        """Remembers a list; False where the user was shown the same one a moment ago."""
        lists = self._shown.get(user)
        if lists is None:
            lists = self._shown[user] = deque(maxlen=self._limits.lists_per_user)
            if len(self._shown) > self._limits.users:
                self._shown.popitem(last=False)
        else:
            self._shown.move_to_end(user)
        ids = tuple(items)
        for one in lists:
            if one.source == source and one.items == ids and now - one.time < self._limits.same_seconds:
                return False
        lists.append(_Shown(now, source, ids))
        return True

    def clicked(self, user: str, item: str, placement: str) -> None:
        """The user says which list an item was clicked in: the latest such list is the one that counts."""
        lists = self._shown.get(user)
        if lists is None:
            return
        for one in reversed(lists):
            if one.source.placement == placement and item in one.items:
                lists.remove(one)
                lists.append(one)
                return

    def due(self, events: Iterable[Event], kinds: Kinds) -> Iterator[Due]:
        """Events that followed a list with their item: each goes to the latest such list, and counts there
        once per item and step.
        """
        window = self._limits.window_hours * 3600
        for event in events:
            lists = self._shown.get(event.user)
            step = STEPS.get(kinds.meaning(event.kind).role) if lists else None
            if not lists or step is None or (event.quantity is not None and event.quantity < 0):
                continue
            for one in reversed(lists):
                if event.item in one.items and -AHEAD_SECONDS <= event.time - one.time <= window:
                    if (event.item, step) not in one.done:
                        one.done.add((event.item, step))
                        yield Due(one.source, step, event)
                    break

    def forget(self, user: str) -> None:
        """Drops what is remembered of a user."""
        self._shown.pop(user, None)

    def users(self) -> list[str]:
        """Users of whom lists are remembered. For any thread."""
        return list(self._shown)
