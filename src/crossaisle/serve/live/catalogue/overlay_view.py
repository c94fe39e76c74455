"""What lists read of a catalogue that has grown: prices and titles, what is alike, and reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.data.windows import Windows
from crossaisle.recommend.catalogue_view import CatalogueView, foreign_prices
from crossaisle.recommend.explain import Explanation, as_new, explain
from crossaisle.recommend.lists.list_builder import Contributions, Served
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.ranker import ModelRanker
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.rerank.diversify import Similarity
from crossaisle.recommend.rerank.groups import Groups
from crossaisle.recommend.wording.names import item_name
from crossaisle.serve.live.catalogue.overlay import CatalogueOverlay
from crossaisle.serve.live.shopwide.disapproval import LiveDisapproval


def view_of(
    base: Recommender, overlay: CatalogueOverlay, before: CatalogueView, clock: Callable[[], float]
) -> CatalogueView:
    """`before`: an earlier view; which items its titles, brands and groups call alike is taken over."""
    items, earlier = overlay.dataset.items, before.dataset.items
    same_brands = items["brand"].equals(earlier["brand"])
    same_products = same_brands and all(_same(items, earlier, name) for name in ("title", "group"))
    popularity = base.view.popularity
    new = np.full(overlay.n_new, -1.0, popularity.dtype)
    return CatalogueView(
        dataset=overlay.dataset,
        prices=overlay.prices,
        in_stock=overlay.in_stock,
        listed=overlay.listed,
        popularity=np.concatenate([popularity, new]),
        codes=overlay.dataset.taxonomy.codes(),
        same_title=before.same_title if same_products else Groups.of_items(items),
        same_brand=before.same_brand if same_brands else Groups.of(items["brand"]),
        foreign=foreign_prices(items),
        windows=Windows.of(items, clock),
    )


def _same(now: pl.DataFrame, then: pl.DataFrame, name: str) -> bool:
    """Whether a column, that need not be there, is what it was."""
    if name not in now.columns or name not in then.columns:
        return name not in now.columns and name not in then.columns
    return now[name].equals(then[name])


def similarity_of(base: Recommender, overlay: CatalogueOverlay) -> Similarity:
    """A new item is as similar to others as its stand-in."""
    of_model = base.similarity

    def in_model(rows: Rows) -> Rows:
        return np.array([overlay.stand_in(row) or 0 for row in rows.tolist()], np.int32)

    def similarity(left: Rows, right: Rows) -> Floats:
        return of_model(in_model(left), in_model(right))

    return similarity


def contributions_of(
    model: ModelRanker,
    overlay: CatalogueOverlay,
    disapproval: LiveDisapproval,
    merchandising: Merchandising,
) -> Contributions:
    """A new item is explained by what makes up its score, its stand-ins; one without any is not."""

    def contributions(context: Histories, served: Served, row: int) -> Explanation | None:
        stand_ins = overlay.stand_ins(row, model.lending(served.weights))
        if not stand_ins:
            return None
        dataset, parts = overlay.dataset, model.parts(served.weights)
        known, named = overlay.in_old_rows(context), _named_by(context, overlay)
        now = disapproval.now(dataset)
        lost = 0.0 if now is None else now.lost(row, served.weights)
        said: dict[str, Any] = {"known_as": named, "lost": lost, "untold": merchandising.for_adults()}
        if row < overlay.n_old:
            return model.explain(dataset, known, row, served.weights, served.placement, **said)
        explanation = explain(dataset, parts, known, row, served.placement, stand_ins=stand_ins, **said)
        like, untold = stand_ins[0][0], said["untold"]
        return as_new(explanation, "" if untold is not None and untold[like] else item_name(dataset, like))

    return contributions


def _named_by(context: Histories, overlay: CatalogueOverlay) -> dict[int, int]:
    """Stand-in -> the new item of a history that it stands in for; not where the user had it itself."""
    rows = set(context.item.tolist())
    stand_ins = {row: overlay.stand_in(row) for row in rows}
    return {other: row for row, other in stand_ins.items() if other is not None and other not in rows}
