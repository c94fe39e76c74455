"""Lists: for a user, a session, a cart, an item, or everyone."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query as Parameters
from fastapi import Request
from fastapi.responses import Response

from crossaisle.api_types import CategorySize, RankedList, RecommendedList, Shop
from crossaisle.data.query import Query
from crossaisle.recommend.rank import ranking
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.dependencies import ItemId, UserId, service_of, who_asks
from crossaisle.serve.api.requests.list_schemas import (
    ItemParameters,
    ListRequest,
    RankRequest,
    TrendingParameters,
    UserParameters,
)
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.responses import (
    LIST_EXAMPLE,
    RANK_EXAMPLE,
    answered,
    as_json,
    list_body,
    of_list,
)
from crossaisle.serve.api.routing import Router
from crossaisle.serve.live.past import example_users

router = Router("/api", tags=["lists"], scope="read")
_LIST, _RANK = Checked(ListRequest), Checked(RankRequest)
LIST = answered(RecommendedList, LIST_EXAMPLE)
_SHOP = {
    "name": "completejourney",
    "currency": "USD",
    "items": 25555,
    "categories": True,
    "examples": ["1609", "947"],
    "scopes": ["read", "write", "admin"],
}


async def _list(request: Request, query: Query) -> Response:
    service = service_of(request)
    answer, within = await service.recommend_to(query, who_asks(request))
    return of_list(service.shop, answer, within)


@router.get("/recommend/{user}", responses=LIST, response_class=Response)
async def recommend(
    request: Request, user: UserId, parameters: Annotated[UserParameters, Parameters()]
) -> Response:
    """A list for a user. Every acknowledged event counts."""
    return await _list(request, parameters.query(user=user))


@router.post("/recommend", openapi_extra=takes(_LIST), responses=LIST, response_class=Response)
async def ask(request: Request) -> Response:
    """A list for a user, or for a session or cart that is not stored."""
    return await _list(request, (await read(request, _LIST)).query())


@router.post(
    "/rank", openapi_extra=takes(_RANK), responses=answered(RankedList, RANK_EXAMPLE), response_class=Response
)
async def rank(request: Request) -> Response:
    """Ranks items that another system found, and says which ones rules and controls leave out."""
    query, service = (await read(request, _RANK)).query(), service_of(request)
    answer = await service.recommend(query, who_asks(request))
    shop = service.shop
    found = await asyncio.to_thread(lambda: ranking(query, shop.resolve(query), answer, shop.lists))
    return as_json({**list_body(shop, found.placed), "unplaced": found.unplaced})


@router.get("/items/{item}/goes-with", responses=LIST, response_class=Response)
async def goes_with(
    request: Request, item: ItemId, parameters: Annotated[ItemParameters, Parameters()]
) -> Response:
    """What complements an item, from other categories."""
    return await _list(request, parameters.query(placement="goes_with", items=(item,)))


@router.get("/items/{item}/similar", responses=LIST, response_class=Response)
async def similar(
    request: Request, item: ItemId, parameters: Annotated[ItemParameters, Parameters()]
) -> Response:
    """Substitutes for an item."""
    return await _list(request, parameters.query(placement="similar", items=(item,)))


@router.get("/trending", responses=LIST, response_class=Response)
async def trending(request: Request, parameters: Annotated[TrendingParameters, Parameters()]) -> Response:
    """What is popular now, the same for everyone."""
    return await _list(request, parameters.query(placement="trending"))


@router.get(
    "/categories",
    responses=answered(list[CategorySize], [{"name": "Produce > Melons", "items": 61}]),
    response_class=Response,
)
async def categories(
    request: Request,
    tree: Annotated[bool, Parameters(description="Categories of all depths, as full paths")] = False,
) -> Response:
    """Every category at the shop's level with its number of items, or the whole category tree."""
    service = service_of(request)
    sizes = await asyncio.to_thread(service.shop.catalogue.category_sizes, whole=tree)
    return as_json([{"name": name, "items": n} for name, n in sizes.items()])


@router.get("/shop", responses=answered(Shop, _SHOP), response_class=Response)
async def shop(request: Request) -> Response:
    """What a page needs to know: the shop, what it can list, and what the caller may do."""
    context, service = context_of(request.scope), service_of(request)
    data = service.shop.dataset
    every = ("read", "write", "admin")
    key = context.key
    admin = key is None or "admin" in key.scopes
    return as_json(
        {
            "name": data.name,
            "currency": data.currency,
            "items": int(service.shop.view.listed.sum()),
            "categories": data.taxonomy.depth > 0,
            "examples": example_users(service.shop) if admin else [],
            "scopes": [scope for scope in every if admin or (key is not None and scope in key.scopes)],
        }
    )
