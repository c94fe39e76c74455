"""Events, items and people: what a shop tells the service."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from crossaisle.client.answers import Counted, Forgotten, Person, Product, ProductPage, Taken
from crossaisle.errors import DataError, UnknownIdError, shorten
from crossaisle.serve.answers import ITEM_EXAMPLE, answered, as_json, of_item
from crossaisle.serve.bodies import EVENT, LONGEST_ID, Item, ItemOfBatch, ItemPatch, event_of, item_body
from crossaisle.serve.pictures import LARGEST, TYPES
from crossaisle.serve.routes_lists import ItemId, UserId, service_of, who_asks
from crossaisle.serve.store import Event, digest_of

router = APIRouter(prefix="/api")
LARGEST_BATCH = 10_000
CHUNK = 1_000
"""Lines of a stream that are committed together."""
SHOWN = 20
"""At most this many bad lines of a stream are described."""
_EXAMPLE = {"user": "1609", "item": "1024306", "kind": "cart", "key": "order-7-line-1"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [EVENT, {"type": "array", "items": EVENT, "maxItems": LARGEST_BATCH}]},
                "examples": {
                    "one": {"value": _EXAMPLE},
                    "batch": {"value": [_EXAMPLE, {"user": "1609", "item": "1007195"}]},
                },
            },
            "application/x-ndjson": {
                "schema": {"description": "One event a line; lines that are none are counted and described"},
                "example": '{"user":"1609","item":"1007195"}\n',
            },
        },
    }
}
_COUNTED = answered(Counted, {"accepted": 1, "duplicates": 0})
_ITEM = answered(Product, ITEM_EXAMPLE)
_PAGE = answered(ProductPage, {"total": 1, "items": [ITEM_EXAMPLE]})
_NEW = answered(Product, {**ITEM_EXAMPLE, "new": True}, status=201, what="A new item was put in")
_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
    }
}
_PERSON_EXAMPLE = {
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
}
_PERSON = answered(Person, _PERSON_EXAMPLE)


@router.post("/events", tags=["events"], openapi_extra=_BODY, responses=_COUNTED, response_class=Response)
async def add_events(
    request: Request,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=LONGEST_ID)] = None,
) -> Response:
    """One event, a list of events, or a stream of lines (NDJSON).

    When this answers, the events are on the disk and count in the next list. One or a list: all are
    kept, or none. A stream: good lines are kept, bad ones are described.
    """
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if kind in ("application/x-ndjson", "application/jsonl", "application/ndjson"):
        return await _stream(request)
    body = _json(await request.body())
    if isinstance(body, list):
        if len(body) > LARGEST_BATCH:
            raise DataError(f"a batch holds at most {LARGEST_BATCH:,} events (found {len(body):,})")
        events = [event_of(one, row) for row, one in enumerate(body)]
    else:
        events = [event_of(body, key=idempotency_key)]
    fresh = await service_of(request).add_events(events)
    return as_json({"accepted": fresh, "duplicates": len(events) - fresh})


async def _stream(request: Request) -> Response:
    service = service_of(request)
    waiting: list[Event] = []
    wrong: list[str] = []
    line = accepted = duplicates = refused = 0
    rest = b""

    async def flush() -> None:
        nonlocal accepted, duplicates
        if waiting:
            fresh = await service.add_events(waiting)
            accepted, duplicates = accepted + fresh, duplicates + len(waiting) - fresh
            waiting.clear()

    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
        for text in lines:
            line += 1
            if not text.strip():
                continue
            try:
                waiting.append(event_of(_json(text), line))
            except DataError as error:
                refused += 1
                if len(wrong) < SHOWN:
                    wrong.append(f"line {line}: {error}")
            if len(waiting) >= CHUNK:
                await flush()
    if rest.strip():
        try:
            waiting.append(event_of(_json(rest), line + 1))
        except DataError as error:
            refused += 1
            wrong.append(f"line {line + 1}: {error}")
    await flush()
    return as_json({"accepted": accepted, "duplicates": duplicates, "refused": refused, "errors": wrong})


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not JSON ({str(error)[:100]})") from None


# Items


@router.get("/items", tags=["items"], responses=_PAGE, response_class=Response)
async def browse(
    request: Request,
    q: Annotated[str, Query(max_length=200, description="Words of the title")] = "",
    category: Annotated[str | None, Query(max_length=500)] = None,
    n: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """Items whose titles hold all words, popular ones first."""
    shop = service_of(request).shop
    rows, total = await asyncio.to_thread(shop.browse, q, category, n, offset)
    return as_json({"total": total, "items": [of_item(shop, row) for row in rows]})


@router.get("/items/{item}", tags=["items"], responses=_ITEM, response_class=Response)
async def get_item(request: Request, item: ItemId) -> Response:
    """What the shop knows about an item now."""
    shop = service_of(request).shop
    row = shop.dataset.item_ids.row(item)
    if not shop.grown.listed[row]:
        raise UnknownIdError(f"item {shorten(item)} was taken out of the shop")
    return as_json(of_item(shop, row))


@router.put("/items/{item}", tags=["items"], responses=_ITEM | _NEW, response_class=Response)
async def put_item(request: Request, item: ItemId, body: Item) -> Response:
    """A new item, or an item anew. When this answers, it can be recommended from its text or picture.

    A picture is fetched from `image` unless it was fetched from there before. One that was sent stays.
    """
    service = service_of(request)
    new = item not in service.shop.dataset.item_ids
    await service.put_items({item: _whole(body)})
    return as_json(of_item(service.shop, service.shop.dataset.item_ids.row(item)), 201 if new else 200)


@router.post("/items", tags=["items"], responses=answered(Taken, {"accepted": 2}), response_class=Response)
async def put_items(request: Request, body: list[ItemOfBatch]) -> Response:
    """Many items at once: all are kept, or none."""
    if len(body) > LARGEST_BATCH:
        raise DataError(f"a batch holds at most {LARGEST_BATCH:,} items (found {len(body):,})")
    await service_of(request).put_items({one.id: _whole(one) for one in body})
    return as_json({"accepted": len(body)})


def _whole(item: Item) -> dict[str, Any]:
    """All fields, so that nothing of an older state shines through; categories stay if none are sent."""
    body = item.model_dump(exclude={"id"})
    return {name: value for name, value in body.items() if name != "categories" or value is not None}


@router.patch("/items/{item}", tags=["items"], responses=_ITEM, response_class=Response)
async def patch_item(request: Request, item: ItemId, body: ItemPatch) -> Response:
    """Changes some fields: a price, the stock. When this answers, it holds in every list."""
    service = service_of(request)
    row = service.shop.dataset.item_ids.row(item)
    await service.patch_item(item, item_body(body))
    return as_json(of_item(service.shop, row))


@router.delete("/items/{item}", tags=["items"], status_code=204, response_class=Response)
async def delete_item(request: Request, item: ItemId) -> Response:
    """Takes an item out of the shop; it is in no list from now on."""
    service = service_of(request)
    service.shop.dataset.item_ids.row(item)
    await service.delete_item(item)
    await service.note(who_asks(request), f"deleted item {item}")
    return Response(status_code=204)


@router.put(
    "/items/{item}/picture",
    tags=["items"],
    openapi_extra=_PICTURE,
    responses=_ITEM | _NEW,
    response_class=Response,
)
async def put_picture(request: Request, item: ItemId) -> Response:
    """The picture of an item, which may be new. When this answers, it can be recommended from its picture."""
    service = service_of(request)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in TYPES:
        raise HTTPException(415, f"a picture is {', '.join(TYPES[:-1])} or {TYPES[-1]} (found {kind[:60]!r})")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise HTTPException(413, f"a picture must not exceed {LARGEST:,} bytes")
    new = item not in service.shop.dataset.item_ids
    await service.put_picture(item, bytes(content))
    return as_json(of_item(service.shop, service.shop.dataset.item_ids.row(item)), 201 if new else 200)


@router.delete("/items/{item}/picture", tags=["items"], status_code=204, response_class=Response)
async def delete_picture(request: Request, item: ItemId) -> Response:
    """Forgets a picture that was fetched or sent; the item is placed by its text."""
    service = service_of(request)
    await service.delete_picture(item)
    await service.note(who_asks(request), f"deleted the picture of item {item}")
    return Response(status_code=204)


# People


@router.get("/users/{user}", tags=["people"], responses=_PERSON, response_class=Response)
async def get_user(request: Request, user: UserId) -> Response:
    """Everything that is kept about a person: attributes, live events, and the model's history."""
    service = service_of(request)
    shop = service.shop
    kept = await service.read(service.store.events_of, user)
    events = [event._asdict() for event in kept]
    row = -1 if service.live.is_forgotten(user) else shop.dataset.user_ids.get(user)
    past = shop._stored.items_of(row).tolist() if row >= 0 else []
    attributes = await service.read(service.store.user, user)
    shown = await service.read(service.experiments.log.exposures_of, user)
    if not events and row < 0 and attributes is None and not shown:
        raise UnknownIdError(f"nothing is known about user {shorten(user)}")
    return as_json(
        {
            "user": user,
            "attributes": attributes or {},
            "events": events,
            "history": shop.dataset.item_ids.ids(past),
            "shown": [one._asdict() for one in shown],
            "as_of": time.time(),
        }
    )


@router.put("/users/{user}", tags=["people"], status_code=204, response_class=Response)
async def put_user(
    request: Request, user: UserId, attributes: dict[str, str | float | bool | None]
) -> Response:
    """Attributes of a person, kept for export; no model of this version reads them."""
    if len(attributes) > 100:
        raise DataError("a person has at most 100 attributes")
    await service_of(request).put_user(user, attributes)
    return Response(status_code=204)


@router.delete(
    "/users/{user}",
    tags=["people"],
    responses=answered(Forgotten, {"events_deleted": 12}),
    response_class=Response,
)
async def delete_user(request: Request, user: UserId) -> Response:
    """Deletes everything about a person. The model's history of this person is not used any more."""
    service = service_of(request)
    gone = await service.forget(user)
    await service.note(who_asks(request), f"deleted person {digest_of(user).hex()[:16]}, {gone} events")
    return as_json({"events_deleted": gone})
