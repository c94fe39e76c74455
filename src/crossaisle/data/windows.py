"""Periods in which items are for sale."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

START, END = "available_from", "expires"
"""Columns of an item table, Int64 seconds since 1970, null for no limit; absent if no item has one."""
STOCKED = "stocked"
"""A further column, Boolean: the shop's own stock status, regardless of time. `in_stock` combines both."""
_LIMITS = np.iinfo(np.int64)


@dataclass(frozen=True, eq=False)
class Windows:
    """Sale periods of the items in a table."""

    start: npt.NDArray[np.int64]
    """int64 (n_items,): seconds since 1970."""
    end: npt.NDArray[np.int64]
    """int64 (n_items,): from this second on the item is not for sale."""
    clock: Callable[[], float] = time.time
    """Returns the current time in seconds since 1970."""

    @classmethod
    def of(cls, items: pl.DataFrame, clock: Callable[[], float] = time.time) -> Windows | None:
        """The periods in an item table; None if no item has one."""
        if START not in items.columns and END not in items.columns:
            return None
        return cls(_limit(items, START, _LIMITS.min), _limit(items, END, _LIMITS.max), clock)

    def open(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> npt.NDArray[np.bool_]:
        """bool: whether items are for sale at the present time."""
        moment = self.clock()
        return np.asarray((self.start[rows] <= moment) & (self.end[rows] > moment), bool)


def stocked(items: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """bool (n_items,): the shop's own stock status, regardless of time."""
    name = STOCKED if STOCKED in items.columns else "in_stock"
    return items[name].fill_null(True).to_numpy().astype(bool)


def at_moment(items: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """The table with `in_stock` as of a time, in seconds since 1970."""
    windows = Windows.of(items, lambda: seconds)
    if windows is None:
        return items
    flag = stocked(items)
    now = flag & windows.open()
    return items.with_columns(pl.Series("in_stock", now), pl.Series(STOCKED, flag))


def _limit(items: pl.DataFrame, name: str, none: int) -> npt.NDArray[np.int64]:
    if name not in items.columns:
        return np.full(len(items), none, np.int64)
    return items[name].fill_null(none).to_numpy().astype(np.int64)
