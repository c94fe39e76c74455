"""Lists and events of one visitor, for a shop's own pages with a publishable key; and their script."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from fastapi import Query as Parameter
from fastapi import Request
from fastapi.responses import Response

from crossaisle.api_types import Counted, VisitorList
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import JSON, PLAIN, Checked, read, takes
from crossaisle.serve.api.requests.visitor_schemas import VisitorEvents, VisitorListRequest
from crossaisle.serve.api.responses import CONFLICT, answered, as_json, visitor_body
from crossaisle.serve.api.routing import VISITOR, Route, Router
from crossaisle.serve.api.visitor_access import check_visitor
from crossaisle.serve.store.records import Event

router = Router(VISITOR, tags=["visitor"], scope="visitor")
_LIST, _EVENTS = Checked(VisitorListRequest), Checked(VisitorEvents)
_TYPES = (JSON, PLAIN)
"""A page may send plain text without asking first, which saves a journey and is what beacons can do. It opens
nothing: no cookie or other credential counts here, only the key and the origin of the page.
"""
_ANSWER = {
    "placement": "goes_with",
    "served": "goes_with",
    "items": [
        {
            "item_id": "1024306",
            "title": "Cantaloupe Whole",
            "category": "Produce > Melons > Cantaloupe Whole",
            "brand": "Private",
            "price": 2.5,
            "currency": "USD",
            "image": None,
            "url": "https://shop.example.com/melons/cantaloupe",
            "why": "Goes with Strawberries.",
        }
    ],
}
PublishableKey = Annotated[
    str | None, Parameter(max_length=64, description="A key of scope visitor: beacons have no headers")
]
ShopName = Annotated[str | None, Parameter(max_length=64, description="Which shop, where several are served")]


@router.post("/list", openapi_extra=takes(_LIST, _TYPES), responses=answered(VisitorList, _ANSWER))
async def visitor_list(request: Request, key: PublishableKey = None, shop: ShopName = None) -> Response:
    """A row for one visitor. Every acknowledged event of the visitor counts."""
    asked = await read(request, _LIST, _TYPES)
    check_visitor(context_of(request.scope).key, asked.visitor, asked.signature)
    service = service_of(request)
    answer, _ = await service.recommend_to(asked.query(), who_asks(request))
    return as_json(visitor_body(service.shop, answer))


@router.post(
    "/events",
    openapi_extra=takes(_EVENTS, _TYPES),
    responses=answered(Counted, {"accepted": 1, "duplicates": 0}) | CONFLICT,
)
async def visitor_events(request: Request, key: PublishableKey = None, shop: ShopName = None) -> Response:
    """What one visitor did. When this answers, it is on disk and counts in the next list.

    An event of an item that the shop does not have is not kept; the answer counts it as refused.
    """
    told = await read(request, _EVENTS, _TYPES)
    check_visitor(context_of(request.scope).key, told.visitor, told.signature)
    service = service_of(request)
    known = service.shop.dataset.item_ids
    kept: list[Event] = []
    for one, event in zip(told.events, told.stored(), strict=True):
        if event.item not in known:
            continue
        kept.append(event)
        if one.placement is not None:
            service.insights.clicked(told.visitor, one.item, one.placement)
    body: dict[str, Any] = {"accepted": 0, "duplicates": 0}
    if kept:
        added = await service.add_events(kept)
        body = {name: n for name, n in added._asdict().items() if n or name != "forgotten"}
    if refused := len(told.events) - len(kept):
        service.metrics.counts["unknown_item_events"] += refused
        body["refused"] = refused
    return as_json(body)


def script() -> Route:
    """The script that pages of any origin may load; it holds no data of a shop."""
    content = (files("crossaisle.serve.api") / "website" / "crossaisle.js").read_bytes()
    headers = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}

    async def answer() -> Response:
        return Response(content, media_type="text/javascript", headers=headers)

    settings: dict[str, Any] = {"methods": ["GET"], "include_in_schema": False, "response_model": None}
    return Route("/crossaisle.js", answer, scope="public", **settings)
