"""The state of the service: health, metrics, models, and what the console shows."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from crossaisle.api_types import AuditLine, CategoryLinks, Console, Health, Models
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routing import Router

SHOWN = 50
"""Events that the console shows."""
router = Router(tags=["state"], scope="admin")
_MODELS = answered(
    Models,
    {
        "active": "model-2",
        "previous": "model",
        "known": ["model", "model-2"],
        "describes": {"shop": "completejourney", "items": 25510, "users": 2035},
    },
)
_EVENT = {"key": None, "user": "1609", "item": "1024306", "kind": "cart", "time": 1767225600.0}
_CONSOLE = answered(
    Console,
    {
        "events": [{**_EVENT, "value": None, "quantity": None, "title": "Cantaloupe Whole"}],
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
_AUDIT = answered(list[AuditLine], [{"time": 1767225600.0, "who": "webshop", "what": "deleted item 7"}])
_TEXT: dict[int | str, dict[str, object]] = {
    200: {
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": "crossaisle_events_total 7\n"},
        }
    }
}


class Text(Response):
    """Plain text."""

    media_type = "text/plain"


@router.get("/api/health/live", scope="health", responses=answered(Health, {"status": "live"}))
async def live() -> Response:
    """The process responds."""
    return as_json({"status": "live"})


@router.get(
    "/api/health/ready",
    scope="health",
    responses=answered(Health, {"status": "ready", "model": "model"}),
)
async def ready(request: Request) -> Response:
    """A model is loaded and warm. Lists do not need the store, so its state is only reported.

    Where there are several shops and none is named: at least one of them is ready. Model and store are
    reported to keys that may read, and where no key is needed.
    """
    context = context_of(request.scope)
    service = context.tenant.service
    if service is None or not context.insider:
        return as_json({"status": "ready"})
    return as_json({"status": "ready", "model": service.state.active.name, "store": service.store.state})


@router.get("/metrics", responses=_TEXT, response_class=Text)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    service = service_of(request)
    text = service.metrics.prometheus(service.gauges(), service.reports())
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/console", responses=_CONSOLE)
async def console(request: Request) -> Response:
    """The latest events, and the latencies of the last 1,000 requests."""
    service = service_of(request)
    names = service.shop.dataset.item_ids
    titles = service.shop.view.titles
    latest = [
        {**event._asdict(), "title": titles[names.get(event.item)] if event.item in names else None}
        for event in islice(reversed(service.memory.latest), SHOWN)
    ]
    return as_json({"events": latest, "load": service.metrics.summary(), "gauges": service.gauges()})


@router.get("/api/console/links", responses=_LINKS)
async def links(request: Request, n: Annotated[int, Query(ge=2, le=60)] = 20) -> Response:
    """Which categories users buy together, for the most bought ones."""
    return as_json(await service_of(request).category_links(n))


@router.get("/api/models", responses=_MODELS)
async def models(request: Request) -> Response:
    """The model that is served, the one before it, and those that can be activated."""
    service = service_of(request)
    return as_json(
        {
            "active": service.state.active.name,
            "previous": service.state.previous.name,
            "known": service.changes.known_models(),
            "describes": service.shop.base.describe(),
        }
    )


@router.get("/api/audit", responses=_AUDIT)
async def audit(request: Request) -> Response:
    """Who deleted what and switched models: the latest 200 entries, newest first. Users appear as digests."""
    service = service_of(request)
    return as_json(await service.read(service.store.audit))


class Choice(Body):
    """Which model to serve."""

    name: Annotated[str, Field(min_length=1, max_length=255, examples=["model-2"])]


_CHOICE = Checked(Choice)


@router.post("/api/models/activate", openapi_extra=takes(_CHOICE), responses=_MODELS | CONFLICT)
async def activate(request: Request) -> Response:
    """Loads, warms and then serves a model. A damaged one is refused, and the old one stays."""
    choice = await read(request, _CHOICE)
    await service_of(request).changes.activate(choice.name, who_asks(request))
    return await models(request)


@router.post("/api/models/roll-back", responses=_MODELS | CONFLICT)
async def roll_back(request: Request) -> Response:
    """Serves the model that was served before."""
    await service_of(request).changes.roll_back(who_asks(request))
    return await models(request)
