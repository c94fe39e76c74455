"""What the console shows: events, load, totals, one visitor, categories shopped together."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Annotated

from fastapi import Query as Parameters
from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from crossaisle.api_types import CategoryLinks, Console, CoverageOfLists, Totals, Visitor
from crossaisle.data.query import Placement, Query
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body, Id
from crossaisle.serve.api.responses import LIST_EXAMPLE, answered, as_json, list_body
from crossaisle.serve.api.routing import Router
from crossaisle.serve.live.insights.coverage import Shown
from crossaisle.serve.live.past import past_of

router = Router("/api/console", tags=["state"], scope="admin")
SHOWN = 50
"""Latest events that are shown."""
MOST_DAYS = 400
_EVENT = {"key": None, "user": "1609", "item": "1024306", "kind": "cart", "time": 1767225600.0}
_CONSOLE = answered(
    Console,
    {
        "events": [{**_EVENT, "value": None, "quantity": None, "title": "Cantaloupe Whole", "role": "cart"}],
        "load": {"requests": 1200, "failed": 0, "ms": {"p50": 1.1, "p95": 4.0, "p99": 9.2}, "counts": {}},
        "gauges": {"items": 25510, "up_seconds": 3600.0},
    },
)
_LINKS = answered(
    CategoryLinks,
    {
        "names": ["Produce > Melons", "Dairy > Milk"],
        "users": [812, 1604],
        "lift": [[2.5, 1.2], [1.2, 1.3]],
    },
)
_TOTALS = answered(
    Totals,
    {
        "window_hours": 24.0,
        "currency": "USD",
        "today": 20454,
        "lists": [
            {
                **{"day": 20454, "placement": "for_you", "experiment": "", "arm": "", "lists": 812},
                **{"clicks": 96, "carts": 41, "purchases": 22, "revenue": 61.4},
            }
        ],
        "events": [{"day": 20454, "role": "purchase", "events": 310, "value": 912.5}],
    },
)
_OF_ALL = {"places": 9120, "tail_places": 3648, "products": 2101, "share": 0.082}
_COVERAGE = answered(
    CoverageOfLists,
    {
        **{"days": 30, "products": 25510, "best_sellers": 1204, "lists": _OF_ALL},
        "placements": [{"placement": "for_you", **_OF_ALL}],
    },
)
_VISITOR = answered(
    Visitor,
    {
        "user": "1609",
        "known": True,
        "past": [
            {
                **{"item_id": "1024306", "title": "Cantaloupe Whole", "time": 1767225600.0, "times": 2},
                **{"category": "Produce > Melons > Cantaloupe Whole", "roles": ["purchase", "view"]},
            }
        ],
        "interests": [{"label": "Melons: cantaloupe", "share": 0.4, "typical": ["Cantaloupe Whole"]}],
        "list": LIST_EXAMPLE,
    },
)


@router.get("", responses=_CONSOLE)
async def console(request: Request) -> Response:
    """The latest events, and the latencies of the last hour."""
    service = service_of(request)
    names, meanings = service.shop.dataset.item_ids, service.live.meanings
    titles = service.shop.view.titles
    latest = [
        {
            **event._asdict(),
            "title": titles[names.get(event.item)] if event.item in names else None,
            "role": meanings.meaning(event.kind).role,
        }
        for event in islice(reversed(service.memory.latest), SHOWN)
    ]
    return as_json({"events": latest, "load": service.metrics.summary(), "gauges": service.gauges()})


@router.get("/links", responses=_LINKS)
async def links(
    request: Request,
    n: Annotated[int, Parameters(ge=2, le=60)] = 20,
    categories: Annotated[
        list[Annotated[str, Field(max_length=500)]],
        Parameters(max_length=60, description="Compare these instead of the most bought ones"),
    ] = [],  # noqa: B006 (FastAPI copies it)
) -> Response:
    """Which categories users buy together: the most bought ones, or some by name."""
    return as_json(await service_of(request).category_links(n, tuple(categories)))


@router.get("/totals", responses=_TOTALS)
async def totals(request: Request, days: Annotated[int, Parameters(ge=1, le=MOST_DAYS)] = 30) -> Response:
    """Lists shown, and what followed them within the window, by day, placement and experiment arm; beside
    it all events by day. Days are counted since 1970 (UTC).
    """
    service = service_of(request)
    today = int(time.time() // SECONDS_PER_DAY)
    first = today - days + 1
    lists = await service.read(service.insights.since, first)
    return as_json(
        {
            "window_hours": service.insights.limits.window_hours,
            "currency": service.shop.dataset.currency,
            "today": today,
            "lists": lists,
            "events": await service.event_totals(first),
        }
    )


@router.get("/coverage", responses=_COVERAGE)
async def coverage(request: Request, days: Annotated[int, Parameters(ge=1, le=MOST_DAYS)] = 30) -> Response:
    """How much of the catalogue the lists of the last days showed, by placement, and how many of their places
    went to products outside the best sellers. Different products are counted to within about 1 %.
    """
    service = service_of(request)
    first = int(time.time() // SECONDS_PER_DAY) - days + 1
    shown = await service.read(service.insights.coverage.since, first)
    listed, all_of_them = int(service.shop.view.listed.sum()), Shown()
    for one in shown.values():
        all_of_them.merge(one)

    def figures(one: Shown) -> dict[str, float]:
        products = min(round(one.products), listed)
        return {
            **{"places": one.places, "tail_places": one.tail, "products": products},
            "share": products / listed if listed else 0.0,
        }

    placements = sorted(shown.items(), key=lambda each: -each[1].places)
    return as_json(
        {
            "days": days,
            "products": listed,
            "best_sellers": len(service.insights.coverage.best.ids),
            "lists": figures(all_of_them),
            "placements": [{"placement": name, **figures(one)} for name, one in placements],
        }
    )


class Looked(Body):
    """A visitor, and what to show of them."""

    user: Id
    placement: Placement = "for_you"
    n: Annotated[int, Field(ge=1, le=20)] = 10


_LOOKED = Checked(Looked)


@router.post("/visitor", openapi_extra=takes(_LOOKED), responses=_VISITOR)
async def visitor(request: Request) -> Response:
    """What a visitor did last and is interested in, beside the list they get now, which does not count as
    shown."""
    service, asked = service_of(request), await read(request, _LOOKED)
    query = Query(user=asked.user, placement=asked.placement, n=asked.n, explain=True)
    answer = await service.recommend(query, who_asks(request))
    past = await asyncio.to_thread(past_of, service.shop, asked.user)
    interests = await asyncio.to_thread(service.interests.of, service.shop, asked.user)
    return as_json(
        {
            "user": asked.user,
            "known": bool(past),
            "past": past,
            "interests": interests,
            "list": list_body(service.shop, answer),
        }
    )
