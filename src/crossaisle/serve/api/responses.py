"""Lists and items as JSON. Written by orjson directly: pydantic would take longer than the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi.responses import Response

from crossaisle.api_types import InExperiment, Problem
from crossaisle.data.windows import END, START
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.wording.names import category_name
from crossaisle.serve.live.recommender import LiveRecommender

CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Problem}}
"""`responses` of a route that may contradict what is stored; `openapi` describes it."""


def as_json(value: Any, status: int = 200) -> Response:
    """A JSON response; NaN becomes null."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json"
    )


def answered(kind: Any, example: Any = None, *, status: int = 200, what: str = "") -> dict[int | str, Any]:
    """`responses` of a route that answers with a type of `crossaisle.api_types`."""
    content = {} if example is None else {"application/json": {"example": example}}
    found: dict[str, Any] = {"model": kind, "content": content}
    return {status: {**found, "description": what} if what else found}


def of_list(
    shop: LiveRecommender, answer: RecommendationList, within: InExperiment | None = None
) -> Response:
    """A page of a list. `shop`: that made it."""
    body = list_body(shop, answer)
    if within is not None:
        body["experiment"] = within
    return as_json(body)


def visitor_body(shop: LiveRecommender, answer: RecommendationList) -> dict[str, Any]:
    """What a page shows of a list, JSON-ready: no scores, nothing about the model, the rules or the user."""
    body = list_body(shop, answer)
    items = []
    for one in body["items"]:
        seen = {
            name: one[name] for name in ("item_id", "title", "category", "brand", "price", "currency", "url")
        }
        # An uploaded picture is read with a key of its own.
        seen["image"] = image if (image := one["image"]) and not image.startswith("/") else None
        items.append(seen | ({"why": one["why"]} if "why" in one else {}))
    return {"placement": body["placement"], "served": body["served"], "items": items}


def list_body(shop: LiveRecommender, answer: RecommendationList) -> dict[str, Any]:
    """A list, JSON-ready."""
    items = []
    for r, shown in zip(answer.items, shop.shown.of(answer.ids), strict=True):
        one: dict[str, Any] = {
            "rank": r.rank,
            "item_id": r.item_id,
            "title": r.title,
            "category": r.category,
            "price": None if r.price is None else round(r.price, 4),
            "score": r.score,
            "brand": shown.brand,
            "image": shown.image,
            "url": shown.url,
            "currency": shown.currency,
            "more_like_it": r.more_like_it,
        }
        if r.evidence is not None:
            one["why"] = r.evidence.text or None
            one["evidence"] = r.evidence.to_dict()
        items.append(one)
    return {
        "placement": answer.placement,
        "served": answer.served,
        "user": answer.user,
        "items": items,
        "notices": answer.notices,
        "cross_share": answer.cross_share,
        "relevance_kept": answer.relevance_kept,
        "rules": answer.rules,
        "rules_cost": answer.rules_cost,
    }


def of_item(shop: LiveRecommender, row: int, cleaned: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """What the shop knows about an item now. `cleaned`: what was not kept as it came."""
    values = shop.dataset.items.row(row, named=True)
    [shown] = shop.shown.of([values["item_id"]])
    price = float(shop.view.prices[row])
    return {
        "item_id": values["item_id"],
        "title": values["title"],
        "description": values["description"],
        "brand": values["brand"],
        "category": category_name(shop.dataset, row),
        "categories": [list(path) for path in shop.dataset.taxonomy.paths[row]],
        "group_id": values.get("group") or None,
        "price": round(price, 4) if price == price else None,
        "in_stock": bool(shop.view.on_sale(slice(row, row + 1))[0]),
        START: values.get(START),
        END: values.get(END),
        "attributes": stored_attributes(values["attributes"]),
        "new": row >= shop.grown.n_old,
        "image": shown.image,
        "url": shown.url,
        "currency": shown.currency,
        "notices": shop.notices_of(row),
        "cleaned": list(cleaned),
    }


def stored_attributes(text: str | None) -> Any:
    """Older versions stored NaN and halves of surrogate pairs, which JSON cannot hold: now null, or `?`."""
    if not text:
        return {}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        found = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
        return json.loads(found.encode(errors="replace"))


ITEM_EXAMPLE: dict[str, Any] = {
    "item_id": "1024306",
    "title": "Cantaloupe Whole",
    "description": "",
    "brand": "Private",
    "category": "Produce > Melons > Cantaloupe Whole",
    "categories": [["Produce", "Melons", "Cantaloupe Whole"]],
    "group_id": None,
    "price": 2.5,
    "in_stock": True,
    "available_from": None,
    "expires": None,
    "attributes": {},
    "new": False,
    "image": None,
    "url": "https://shop.example.com/melons/cantaloupe",
    "currency": "USD",
    "notices": [],
    "cleaned": [],
}
LIST_EXAMPLE = {
    "placement": "discover",
    "served": "discover",
    "user": "1609",
    "items": [
        {
            "rank": 1,
            "item_id": "1024306",
            "title": "Cantaloupe Whole",
            "category": "Produce > Melons > Cantaloupe Whole",
            "price": 2.5,
            "score": 0.41,
            "brand": "Private",
            "image": None,
            "url": "https://shop.example.com/melons/cantaloupe",
            "currency": "USD",
            "more_like_it": 2,
            "why": "Because you bought Strawberries.",
        }
    ],
    "notices": [],
    "cross_share": 1.0,
    "relevance_kept": 1.0,
    "rules": [{"id": "till-lines", "action": "never", "items": ["894439"], "reason": "no products"}],
    "rules_cost": 0.0321,
}
RANK_EXAMPLE = {
    **LIST_EXAMPLE,
    "placement": "for_you",
    "served": "for_you",
    "unplaced": [{"item_id": "894439", "why": "rules"}],
}
