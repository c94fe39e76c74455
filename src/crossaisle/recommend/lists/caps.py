"""What the items of a list count against: quotas, titles, brands, the share of a page."""

from __future__ import annotations

from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.request import CrossShare
from crossaisle.recommend.rerank.filters import rows_mask
from crossaisle.recommend.rerank.quota import Cap, category_caps
from crossaisle.recommend.rerank.share import is_cross, share_cap

CROWD = 2
"""At most this many items of a category on a page of `discover` or `goes_with`, unless the page would stay
short. On completejourney's validation it costs nothing (docs/research-log.md); 1 costs an eighth of it."""
MAKES: dict[Placement, int] = {"for_you": 2, "discover": 1, "goes_with": 1}
"""Before anything was bought, texts rank, and most alike are the shirts of one brand: at most so many of a
brand and category on a page, unless it would stay short. Read by eye: nothing can be measured then."""
SHELVES = 50
"""In shops with fewer categories, one of them is more than a shelf, and `CROWD` does not hold."""


def list_caps(
    view: CatalogueView, query: Query, share: CrossShare, rows: Rows
) -> tuple[list[Cap], list[Cap]]:
    """Caps on some item rows: hard ones, which hold over all pages, and those of a page, which give way where
    it would stay short."""
    codes, dataset = view.codes[rows], view.dataset
    named = [
        (rows_mask(dataset.taxonomy.find(name), dataset.n_items)[rows], limit)
        for name, limit in query.quotas.items()
    ]
    hard, soft = category_caps(codes, query.quota, named), []
    if share.share is not None:
        soft.append(share_cap(is_cross(codes, share.home), share.share, query.page_length))
    if _crowds(view, query):
        soft.append(category_caps(codes, CROWD, named)[-1])
    if view.unsold and query.placement in MAKES and not query.reorders:
        make = view.same_make.cap(rows, MAKES[query.placement])
        soft += [] if make is None else [make]
    for groups, most in (
        (view.same_title, 1 if query.one_per_title else None),
        (view.same_brand, query.max_per_brand),
    ):
        cap = None if most is None else groups.cap(rows, most)
        if cap is not None:
            hard.append(cap)
    return hard, soft


def plain_limit(view: CatalogueView, query: Query, share: CrossShare) -> int | None:
    """Where nothing but `one_per_title` and `CROWD` arranges a page: how many items of a category it may have
    by the latter, 0 for any number. None where other caps hold, or anything else arranges it.
    """
    caps = query.quota is not None or query.quotas or query.max_per_brand is not None
    others = caps or query.reorders or share.share is not None
    if others or not query.one_per_title or (view.unsold and query.placement in MAKES):
        return None
    if not _crowds(view, query):
        return 0
    return CROWD if query.depth == query.page_length else None


def _crowds(view: CatalogueView, query: Query) -> bool:
    """Whether a list of other categories may not crowd: where neither quota nor diversity was asked for."""
    asked = query.quota is not None or query.reorders
    return query.placement in ("discover", "goes_with") and not asked and view.n_categories >= SHELVES
