"""Changes of items since the model was fitted: show them and drop them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from crossaisle.api_types import Differences, Dropped
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body, Id
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routing import Router
from crossaisle.serve.live.catalogue.differences import differences

router = Router("/api/changes", tags=["items"], scope="write")
_SHOWN = {
    "total": 1,
    "items": [{"item_id": "1024306", "what": "changed", "fields": {"price": {"model": 2.5, "now": 1.99}}}],
}


class Drop(Body):
    """Whose changes to drop: either `items` or `all`."""

    items: Annotated[list[Id], Field(min_length=1, max_length=10_000, examples=[["1024306"]])] | None = None
    all: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Drop:
        if (self.items is not None) == self.all:
            raise PydanticCustomError("missing", "give items, or all = true")
        return self


_DROP = Checked(Drop)


@router.get("", responses=answered(Differences, _SHOWN))
async def show(
    request: Request,
    n: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Where the catalogue differs from that of the model in use, by id.

    A change holds field by field, whichever model serves, until another one replaces it or it is dropped:
    the service cannot know whether a later export already has it.
    """
    service = service_of(request)
    found = await service.read(differences, service.shop.base, service.state.changed)
    return as_json({"total": len(found), "items": found[offset : offset + n]})


@router.post("/drop", openapi_extra=takes(_DROP), responses=answered(Dropped, {"dropped": 1}) | CONFLICT)
async def drop(request: Request) -> Response:
    """Restores the model's catalogue for some items or for all. Items that the model lacks are removed."""
    asked = await read(request, _DROP)
    n = await service_of(request).changes.drop(None if asked.all else asked.items, who_asks(request))
    return as_json({"dropped": n})
