"""Shows the product of a family that the user had, in lists that are not about the user.

Its place, its score and the reason are those of the family's best product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crossaisle.data.kinds import PURCHASE
from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.reasons import Cause
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.wording.sentences import sentence

OPEN: tuple[Placement, ...] = ("similar", "trending")
"""Whose scores know nothing of the user. Elsewhere the score finds more than what was had last."""


def members_shown(
    view: CatalogueView,
    query: Query,
    request: ResolvedQuery,
    rows: Rows,
    fits: Callable[[Rows, Rows], Mask],
) -> Rows:
    """int32 (n,): what to show in the places of some item rows (n,).

    `fits`: which of some rows may be in the list, and in place of which rows.
    """
    places, own = own_members(view, query, request, rows)
    if not len(own):
        return rows
    free = fits(own, rows[places])
    shown = rows.copy()
    shown[places[free]] = own[free]
    return shown


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


def of_family(best: Explanation, request: ResolvedQuery, row: int, placement: Placement) -> Explanation:
    """Why item `row` is shown where the best of its family would be, whose explanation `best` is.

    The last cause says what the user did with it: it carries nothing, and chose the product.
    """
    causes = tuple(replace(one, of_family=True) if one.kind == "popular" else one for one in best.causes)
    if row in request.bought:
        deed = PURCHASE if request.told is request.context else -1  # nobody knows what a session did
        causes += (Cause("before", 0.0, deeds=(deed,)),)
    return replace(best, causes=causes, text=sentence(causes, placement))
