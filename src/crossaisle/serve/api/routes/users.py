"""Users: what is stored about a user, shown and deleted."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from crossaisle.api_types import Forgotten, UserRecord
from crossaisle.errors import UnknownIdError, shorten
from crossaisle.serve.api.dependencies import UserId, service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Attributes, Body, Id, sized
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routes import user_pages
from crossaisle.serve.api.routing import Router
from crossaisle.serve.service import ShopService

router = Router("/api/users", tags=["users"], scope="write")
PAGE, LONGEST_PAGE = 1_000, 10_000
_USER_EXAMPLE = {
    "user": "1609",
    "attributes": {"club": True},
    "events": [
        {
            **{"key": "order-7-line-1", "user": "1609", "item": "1024306", "kind": "cart"},
            **{"time": 1767225600.0, "value": None, "quantity": 1.0},
        }
    ],
    "history": ["1007195"],
    "shown": [],
    "as_of": 1767225661.5,
    "total": 1,
    "next": None,
    "shown_total": 0,
    "shown_next": None,
}
_USER = answered(UserRecord, _USER_EXAMPLE)
_GONE = answered(Forgotten, {"events_deleted": 12, "overwritten": True})


class Named(Body):
    """Names a user whose id cannot be part of a path, such as `..`."""

    user: Annotated[Id, Field(examples=["1609"])]


class Asked(Named):
    """Names a user and the pages of events to show."""

    n: Annotated[int, Field(ge=1, le=LONGEST_PAGE)] = PAGE
    after: Annotated[int, Field(ge=0, lt=2**62)] = 0
    shown_after: Annotated[int, Field(ge=0, lt=2**62)] = 0


_NAMED, _ASKED, _ATTRIBUTES = Checked(Named), Checked(Asked), Checked(Attributes)


@router.get("/{user}", responses=_USER)
async def get_user(
    request: Request,
    user: UserId,
    n: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="Events per page")] = PAGE,
    after: Annotated[int, Query(ge=0, lt=2**62, description="`next` of the previous page")] = 0,
    shown_after: Annotated[int, Query(ge=0, lt=2**62, description="`shown_next` of the previous page")] = 0,
) -> Response:
    """Everything that is stored about a user: attributes, live events in pages, and the model's history."""
    return await _shown(service_of(request), user, n, after, shown_after)


@router.post("/show", openapi_extra=takes(_ASKED), responses=_USER)
async def show_user(request: Request) -> Response:
    """The same for an id of any characters."""
    asked = await read(request, _ASKED)
    return await _shown(service_of(request), asked.user, asked.n, asked.after, asked.shown_after)


async def _shown(service: ShopService, user: str, n: int, after: int, shown_after: int) -> Response:
    shop = service.shop
    row = -1 if service.live.is_forgotten(user) else shop.dataset.user_ids.get(user)
    past = shop.base.histories.items_of(row).tolist() if row >= 0 else []
    attributes = await service.read(service.store.user, user)
    page = await service.read(
        user_pages.page, service.store, service.experiments.log, user, n, after, shown_after
    )
    if row < 0 and attributes is None and not page["total"] and not page["shown_total"]:
        raise UnknownIdError(f"nothing is known about user {shorten(user)}")
    history = shop.dataset.item_ids.ids(past)
    return as_json(
        {"user": user, "attributes": attributes or {}, "history": history, **page, "as_of": time.time()}
    )


@router.put("/{user}", status_code=204, openapi_extra=takes(_ATTRIBUTES), responses=CONFLICT)
async def put_user(request: Request, user: UserId) -> Response:
    """Stores attributes of a user for export; no model of this version uses them."""
    attributes = await read(request, lambda value: sized(_ATTRIBUTES(value)))
    await service_of(request).put_user(user, attributes)
    return Response(status_code=204)


@router.delete("/{user}", responses=_GONE)
async def delete_user(request: Request, user: UserId) -> Response:
    """Deletes everything about a user. The model's history of this user is no longer used."""
    return await _deleted(request, user)


@router.post("/delete", openapi_extra=takes(_NAMED), responses=_GONE)
async def delete_named(request: Request) -> Response:
    """The same for an id of any characters."""
    return await _deleted(request, (await read(request, _NAMED)).user)


async def _deleted(request: Request, user: str) -> Response:
    service = service_of(request)
    if not await user_pages.known(service, user):
        raise UnknownIdError(f"nothing is known about user {shorten(user)}: nothing was deleted")
    gone = await service.forget(user, who_asks(request))
    return as_json({"events_deleted": gone.events, "overwritten": gone.overwritten})
