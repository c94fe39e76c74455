"""`Coverage`: how many different products were shown, by placement; as sketches per day, without anybody's
name."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import StoreError
from crossaisle.serve.limits.live import InsightLimits
from crossaisle.serve.store.totals import TotalsTable

_LOG = logging.getLogger(__name__)
BITS = 1 << 16
"""Of a sketch: 25,000 different products are told to within .5 %, 400,000 to within 3 %."""
BEST = 0.5
"""The best sellers are the fewest products that hold this share of a model's events."""
Bits = npt.NDArray[np.bool_]


class BestSellers:
    """The best sellers of the model that serves; all other products are the long tail."""

    def __init__(self, dataset: Callable[[], Dataset]) -> None:
        """`dataset`: of the model that serves now."""
        self._now = dataset
        self._read: Dataset | None = None
        self._ids: frozenset[str] = frozenset()

    def __contains__(self, item: str) -> bool:
        return item in self.ids

    @property
    def ids(self) -> frozenset[str]:
        """Their ids; read again once another model serves."""
        dataset = self._now()
        if dataset is not self._read:
            order = np.argsort(-dataset.item_counts, kind="stable")
            sold = np.cumsum(dataset.item_counts[order])
            most = int(np.searchsorted(sold, BEST * sold[-1])) + 1 if len(sold) and sold[-1] else 0
            self._ids, self._read = frozenset(dataset.item_ids.ids(order[:most])), dataset
        return self._ids


@dataclass
class Shown:
    """What the lists of a placement showed in some time."""

    places: int = 0
    """Products, each time they were shown."""
    tail: int = 0
    """Those of them that are no best sellers."""
    bits: Bits = field(default_factory=lambda: np.zeros(BITS, bool))
    """bool (BITS,): one is set by each product (linear counting; Whang et al., TODS 1990)."""

    def add(self, items: Sequence[str], tail: int) -> None:
        """Counts the products of a list."""
        self.places += len(items)
        self.tail += tail
        for item in items:
            self.bits[_bit_of(item)] = True

    def merge(self, other: Shown) -> None:
        """Adds what another worker, day or placement showed."""
        self.places += other.places
        self.tail += other.tail
        self.bits |= other.bits

    @property
    def products(self) -> float:
        """About how many different ones."""
        free = BITS - int(np.count_nonzero(self.bits))
        return -BITS * math.log(max(free, 1) / BITS)

    def packed(self) -> list[Any]:
        """JSON-ready."""
        packed = base64.b64encode(zlib.compress(np.packbits(self.bits).tobytes(), 1)).decode()
        return [self.places, self.tail, packed]

    @classmethod
    def unpacked(cls, places: int, tail: int, packed: str) -> Shown:
        """The opposite of `packed`."""
        raw = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
        return cls(places, tail, np.unpackbits(raw).astype(bool))


class Coverage:
    """Counts of one worker, written to the store every minute. Changed by the event loop only."""

    def __init__(
        self,
        table: TotalsTable,
        best: BestSellers,
        limits: InsightLimits = InsightLimits(),
    ) -> None:
        self._table, self.best, self._limits = table, best, limits
        self._day = int(time.time() // SECONDS_PER_DAY)
        self._today: dict[str, Shown] = {}
        for day, body in table.own():
            if day == self._day:
                self._today = _read(body)
        self._changed = False
        self._timer: asyncio.TimerHandle | None = None

    def shown(self, placement: str, items: Sequence[str]) -> None:
        """Counts a list that was answered."""
        day = int(time.time() // SECONDS_PER_DAY)
        if day != self._day:
            self.flush()
            self._day, self._today = day, {}
        self._today.setdefault(placement, Shown()).add(items, sum(item not in self.best for item in items))
        self._changed = True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.coverage_seconds, self.flush)

    def flush(self) -> None:
        """Hands what has changed to the store; after a crash the last minute is missing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._changed:
            return
        body = json.dumps({name: one.packed() for name, one in self._today.items()})
        try:
            self._table.put({self._day: body})
            self._changed = False
        except StoreError as error:  # it is written with the next ones
            _LOG.warning("coverage of recommendations is not written: %s", error)

    def since(self, first_day: int) -> dict[str, Shown]:
        """What each placement showed from a day on, of all workers. Reads the store."""
        found: dict[str, Shown] = {}
        today = dict(self._today)
        own = [_read(body) for day, body in self._table.own() if first_day <= day != self._day]
        others = [_read(body) for _, body in self._table.others(first_day)]
        for several in [*own, *others, today]:
            for placement, one in several.items():
                found.setdefault(placement, Shown()).merge(one)
        return found


def _read(body: str) -> dict[str, Shown]:
    return {placement: Shown.unpacked(*packed) for placement, packed in json.loads(body).items()}


def _bit_of(item: str) -> int:
    return int.from_bytes(blake2b(item.encode(), digest_size=4).digest()) % BITS
