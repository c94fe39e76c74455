"""Which items may be recommended at all: boolean masks over the catalogue, combined with `&`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.query import Placement
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows

Mask = npt.NDArray[np.bool_]


def of_placement(
    placement: Placement, codes: Rows, history: Rows, view: Rows, rows: Rows | slice = slice(None)
) -> Mask:
    """bool (n,): what a placement may show, for some item rows (all by default).

    `codes` int32 (n_items,): category per item at the shop's level, -1 unknown. An item of unknown
    category is never claimed to lie in a new or another category.
    """
    n = len(codes)
    if placement == "discover":
        allowed = _outside(codes, history, rows)
    elif placement == "goes_with":
        allowed = _outside(codes, view, rows)
    elif placement == "buy_again":
        allowed = rows_mask(history, n)[rows]
    else:
        allowed = np.ones(len(codes[rows]), bool)
    if len(view):
        allowed &= ~rows_mask(view, n)[rows]
    return allowed


def _outside(codes: Rows, seen: Rows, rows: Rows | slice) -> Mask:
    # A table of categories: np.isin would sort the whole catalogue for each request.
    near = np.zeros(int(codes.max(initial=-1)) + 2, bool)
    near[codes[seen]] = True
    near[-1] = True  # read by code -1
    return ~near[codes[rows]]


def rows_mask(rows: Rows, n_items: int) -> Mask:
    """bool (n_items,): True at `rows`."""
    out = np.zeros(n_items, bool)
    out[rows] = True
    return out


def in_categories(taxonomy: Taxonomy, include: Iterable[str], exclude: Iterable[str]) -> Mask:
    """bool (n_items,): in any wanted category (all, if none is named) and in no unwanted one.

    Categories of any depth, by name; `UnknownIdError` for one that the shop does not have.
    """
    n = len(taxonomy.paths)
    wanted, unwanted = list(include), list(exclude)
    out = np.full(n, not wanted)
    for name in wanted:
        out[taxonomy.find(name)] = True
    for name in unwanted:
        out[taxonomy.find(name)] = False
    return out


def in_items(include: Rows | None, exclude: Rows, n_items: int) -> Mask:
    """bool (n_items,): among the rows to include (all, if None) and not among those to exclude."""
    out = np.ones(n_items, bool) if include is None else rows_mask(include, n_items)
    out[exclude] = False
    return out


def in_price_band(prices: Floats, low: float | None, high: float | None) -> Mask:
    """bool (n_items,): low <= price <= high; an item without a price (NaN) is in no band."""
    out = np.ones(len(prices), bool)
    # Bounds are rounded like the prices, or an item at 9.99 would not cost "at most 9.99".
    if low is not None:
        out &= prices >= np.float32(low)
    if high is not None:
        out &= prices <= np.float32(high)
    return out
