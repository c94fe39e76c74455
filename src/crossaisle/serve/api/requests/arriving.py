"""`cleaned`: cleans items that arrive as the model's import cleaned its catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossaisle.data.ingest.cleaning.arriving import clean_bodies
from crossaisle.errors import DataError, shorten
from crossaisle.serve.live.recommender import LiveRecommender

Body = dict[str, Any]


def cleaned(
    shop: LiveRecommender, bodies: Mapping[str, Body], *, whole: bool
) -> tuple[dict[str, Body], list[dict[str, Any]]]:
    """Fields of items by id as they are kept, and what was not kept as it came: `item_id`, `field`, `steps`,
    `before`, `after`.

    `whole`: whole items, which need a title or an image: `DataError` where nothing is left of a title.
    """
    data = shop.dataset
    rows = [data.item_ids.get(name) for name in bodies]
    known = [data.taxonomy.paths[row] if row >= 0 else () for row in rows]
    after, changes = clean_bodies(list(bodies.values()), data.cleaning, known)
    for name, body in zip(bodies, after, strict=True) if whole else ():
        if not body["title"] and not body["image"]:
            sent = bodies[name]["title"]
            raise DataError(
                f"item {shorten(name)}: {shorten(str(sent))} is not a title: give a title or an image"
            )
    told = [
        {
            "item_id": name,
            "field": one.field,
            "steps": list(one.steps),
            "before": one.before,
            "after": one.after,
        }
        for name, found in zip(bodies, changes, strict=True)
        for one in found
    ]
    return dict(zip(bodies, after, strict=True)), told
