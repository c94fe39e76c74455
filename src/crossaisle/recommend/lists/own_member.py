"""`own_members`: of a family, the product that the user had, in lists that are not about the user."""

from __future__ import annotations

import numpy as np

from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery

OPEN: tuple[Placement, ...] = ("similar", "trending")
"""Whose scores know nothing of the user. Elsewhere the score finds more than what was had last."""


def own_members(view: CatalogueView, query: Query, request: ResolvedQuery, shown: Rows) -> tuple[Rows, Rows]:
    """int32 (m,) places in a list of item rows (n,), and int32 (m,) the rows to show there instead.

    The product of the same family and category that the user had last. Of a list with `max_per_brand`, none:
    it may be of another brand.
    """
    personal = request.placement in OPEN and query.one_per_title and query.max_per_brand is None
    keys = view.same_title.keys
    latest = request.history[::-1]
    latest = latest[np.isin(keys[latest], keys[shown][keys[shown] > 0])] if personal else NO_ROWS
    places, members = [], []
    for place, row in enumerate(shown.tolist() if len(latest) else ()):
        own = latest[(keys[latest] == keys[row]) & (view.codes[latest] == view.codes[row])]
        if len(own) and own[0] != row:
            places.append(place)
            members.append(int(own[0]))
    return np.array(places, np.int32), np.array(members, np.int32)
