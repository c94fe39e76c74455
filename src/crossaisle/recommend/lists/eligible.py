"""`eligible`: which items a placement and the filters of a query allow, before any rules."""

from __future__ import annotations

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.catalogue_view import SUBSTITUTES, CatalogueView
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery
from crossaisle.recommend.rerank.beside import Opened
from crossaisle.recommend.rerank.filters import (
    Mask,
    in_categories,
    in_items,
    in_price_band,
    of_placement,
    rows_mask,
)

FROM_ELSEWHERE = 3.5
"""A product from elsewhere is similar to another if it has so many times as much in common with it as its
neighbours need (completejourney, pairs read by eye: beyond it five of six would do instead, just below it
half, and further down stand 18 lb of zucchini beside 18 lb of charcoal)."""


def eligible(
    view: CatalogueView,
    query: Query,
    request: ResolvedQuery,
    rows: Rows | slice = slice(None),
    opened: Opened | None = None,
) -> Mask:
    """bool (n,): which of some item rows (all by default) may be in the list. `opened`: what goes with items
    of its own category, and is not similar to them."""
    n_items = view.dataset.n_items
    own = request.bought if request.placement == "buy_again" else request.history
    allowed = of_placement(request.placement, view.codes, own, request.view, rows)
    if opened is not None and request.placement in ("goes_with", "similar"):
        complements = rows_mask(opened.beside(request.view), n_items)[rows]
        allowed = allowed | complements if request.placement == "goes_with" else allowed & ~complements
    if request.placement == "similar":
        allowed &= _substitutes(view, request.view)[rows]
    if query.include_categories or query.exclude_categories:
        wanted, unwanted = query.include_categories, query.exclude_categories
        allowed &= in_categories(view.dataset.taxonomy, wanted, unwanted)[rows]
    if request.include is not None or len(request.exclude):
        allowed &= in_items(request.include, request.exclude, n_items)[rows]
    if query.min_price is not None or query.max_price is not None:
        allowed &= in_price_band(view.prices[rows], query.min_price, query.max_price)
        if view.foreign is not None:
            allowed &= ~view.foreign[rows]
    if query.in_stock:
        allowed &= view.on_sale(rows)
    if len(others := _other_sizes(view, query, request)):
        allowed &= ~rows_mask(others, n_items)[rows]
    if request.exclude_seen:
        allowed &= ~rows_mask(request.history, n_items)[rows]
    allowed &= view.listed[rows]
    return allowed


def least_likeness(
    view: CatalogueView, request: ResolvedQuery, floor: float, rows: Rows | slice
) -> Floats | float:
    """float32 (n,) or one for all: the score that each of some item rows has to pass to be in the list.

    `floor`: what has no higher score has nothing to do with what is in view.
    """
    if request.placement != "similar":
        return floor
    if (view.codes[request.view] < 0).any():
        return floor
    near = view.neighbours(request.view, rows)
    return np.where(near, floor, FROM_ELSEWHERE * floor).astype(np.float32)


def _substitutes(view: CatalogueView, beside: Rows) -> Mask:
    """bool (n_items,): the categories of some items, where these are large enough, and what has none."""
    own = np.zeros(view.n_categories + 1, bool)
    own[view.codes[beside]] = True
    if own[-1] or view.families_of_category[own[:-1]].sum() < SUBSTITUTES:
        return np.ones(view.dataset.n_items, bool)
    own[-1] = True  # read by code -1
    return own[view.codes]


def _other_sizes(view: CatalogueView, query: Query, request: ResolvedQuery) -> Rows:
    """int32: other sizes and colours of what is in view, where these have no place in the list.

    They do not go with it, whatever category they were put into, and are not like it: they are it.
    """
    beside = request.view
    if request.placement == "similar" and query.one_per_title:
        beside = beside[view.one_product[beside]]
    elif request.placement != "goes_with":
        return NO_ROWS
    members, _ = view.same_title.members(beside)
    return members
