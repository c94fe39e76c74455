"""The state of the service: health, metrics and models."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from crossaisle.api_types import AuditLine, Health, Models
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routing import Router

router = Router(tags=["state"], scope="admin")
_MODELS = answered(
    Models,
    {
        "active": "model-2",
        "previous": "model",
        "known": ["model", "model-2"],
        "describes": {"shop": "completejourney", "items": 25510, "users": 2035},
        "hosts": [{"name": "process 7 on web-1", "model": "model-2", "version": "5d2c01b9e3a47f60"}],
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


@router.get("/api/models", responses=_MODELS)
async def models(request: Request) -> Response:
    """The model that is served, the one before it, and those that can be activated."""
    service = service_of(request)
    return as_json(
        {
            "active": service.state.active.name,
            "previous": service.state.previous.name,
            "known": await service.changes.known_models(),
            "describes": service.shop.base.describe(),
            "hosts": await service.changes.hosts(),
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
