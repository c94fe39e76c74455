"""Items: the catalogue as the shop maintains it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import polars as pl
from fastapi import Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from crossaisle.api_types import Product, ProductPage, Taken
from crossaisle.data.ingest.notes import large_groups
from crossaisle.data.query import CONTROLS
from crossaisle.errors import DataError, UnknownIdError, shorten
from crossaisle.serve.api.dependencies import ItemId, service_of, who_asks
from crossaisle.serve.api.requests.arriving import cleaned
from crossaisle.serve.api.requests.request_body import (
    DESCRIBED,
    JSON,
    LINES,
    Checked,
    CheckedList,
    kind_of,
    limits_of,
    read,
    takes,
)
from crossaisle.serve.api.requests.schemas import Item, ItemOfBatch, ItemPatch, PatchOfBatch, item_body
from crossaisle.serve.api.requests.strict_json import parse
from crossaisle.serve.api.responses import CONFLICT, ITEM_EXAMPLE, answered, as_json, of_item
from crossaisle.serve.api.routing import Router
from crossaisle.serve.changes import Changes
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.live.catalogue.browsing import Browse
from crossaisle.serve.live.catalogue.picture_files import read_file
from crossaisle.serve.live.catalogue.search import Sort
from crossaisle.serve.live.pictures import LARGEST, TYPES, type_of
from crossaisle.serve.live.recommender import LiveRecommender

router = Router("/api/items", tags=["items"])
LARGEST_BATCH = 10_000
_WHOLE, _PATCH = Checked(Item), Checked(ItemPatch)
_BATCH = CheckedList(ItemOfBatch, "items", LARGEST_BATCH)
_PATCHES, _PATCH_LINE = CheckedList(PatchOfBatch, "items", LARGEST_BATCH), Checked(PatchOfBatch)
_LINES_OR_LIST = takes(_PATCHES)
_LINES_OR_LIST["requestBody"]["content"]["application/x-ndjson"] = {
    "schema": {"description": "One item per line; invalid lines are counted and described"},
    "example": '{"id":"1024306","price":2.49}\n{"id":"1007195","in_stock":false}\n',
}
SHOWN = 20
"""Values of a batch that were not kept as they came, of which an answer tells."""
_ITEM = answered(Product, ITEM_EXAMPLE)
_PAGE = answered(ProductPage, {"total": 1, "items": [ITEM_EXAMPLE], "read_as": None, "complete": True})
_NEW = answered(Product, {**ITEM_EXAMPLE, "new": True}, status=201, what="A new item was added")
_TAKEN = answered(Taken, {"accepted": 2, "cleaned": 0, "changes": []})
_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
    }
}
KEPT_SECONDS = 86_400
"""A browser asks once a day whether it may still see a picture that it keeps."""
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES}},
    304: {"description": "The picture is the one that `If-None-Match` names"},
}


@router.get("", scope="read", responses=_PAGE)
async def browse(
    request: Request,
    q: Annotated[str, Query(max_length=200, description="Words, or an id")] = "",
    category: Annotated[str | None, Query(max_length=500)] = None,
    sort: Sort = "best",
    min_price: Annotated[float | None, Query(ge=0, lt=1e12, allow_inf_nan=False)] = None,
    max_price: Annotated[float | None, Query(ge=0, lt=1e12, allow_inf_nan=False)] = None,
    in_stock: Annotated[bool, Query(description="Only items in stock")] = False,
    adult: Annotated[bool, Query(description=CONTROLS["adult"].control.help)] = False,
    n: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """Finds items by id or by words of title, brand and category; plurals and small typos are understood.

    Best matches come first, and popular items first among equals. If no item has all words, those with most
    of them are returned.
    """
    shop = service_of(request).shop
    asked = Browse(
        words=q,
        category=category,
        sort=sort,
        min_price=min_price,
        max_price=max_price,
        in_stock=in_stock,
        adult=adult,
        n=n,
        offset=offset,
    )
    found = await asyncio.to_thread(shop.catalogue.browse, asked)
    return as_json(
        {
            "total": found.total,
            "items": [of_item(shop, row) for row in found.rows],
            "read_as": found.read_as,
            "complete": found.complete,
        }
    )


@router.get("/{item}", scope="read", responses=_ITEM)
async def get_item(request: Request, item: ItemId) -> Response:
    """An item as the shop knows it now."""
    shop = service_of(request).shop
    return as_json(of_item(shop, _row(shop, item)))


def _row(shop: LiveRecommender, item: str) -> int:
    """The row of an item that the shop has. `UnknownIdError` where it never had it, or has it no longer."""
    row = shop.dataset.item_ids.row(item)
    if not shop.grown.listed[row]:
        raise UnknownIdError(f"item {shorten(item)} was removed from the shop")
    return row


@router.put(
    "/{item}",
    scope="write",
    openapi_extra=takes(_WHOLE),
    responses=_ITEM | _NEW | CONFLICT,
)
async def put_item(request: Request, item: ItemId) -> Response:
    """Creates or replaces an item. When this answers, it can be recommended from its text or picture.

    A picture is fetched from `image` unless it was fetched from there before. One that was uploaded stays.
    Texts are cleaned as the import cleaned the catalogue; `cleaned` says what was changed.
    """
    service = service_of(request)
    shop = service.shop
    bodies, told = await read(
        request, lambda value: cleaned(shop, {item: item_body(_WHOLE(value))}, whole=True)
    )
    new = item not in service.shop.dataset.item_ids
    await service.changes.put_items(bodies)
    shop = service.shop
    return as_json(of_item(shop, shop.dataset.item_ids.row(item), told), 201 if new else 200)


@router.post("", scope="write", openapi_extra=takes(_BATCH), responses=_TAKEN | CONFLICT)
async def put_items(request: Request) -> Response:
    """Creates or replaces many items at once: all of them or none."""
    service = service_of(request)
    n, (bodies, told) = await read(request, lambda value: _bodies(service.shop, _BATCH(value), whole=True))
    await service.changes.put_items(bodies)
    return _taken(n, told, notes=_notes(service.shop, bodies))


def _bodies(
    shop: LiveRecommender, batch: Sequence[ItemOfBatch | PatchOfBatch], *, whole: bool
) -> tuple[int, tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]]:
    found: dict[str, dict[str, Any]] = {}
    for row, one in enumerate(batch):
        found[one.id] = ({} if whole else found.get(one.id, {})) | item_body(one, row)
    return len(batch), cleaned(shop, found, whole=whole)


def _notes(shop: LiveRecommender, bodies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    groups = pl.Series([body.get("group_id") for body in bodies.values()], dtype=pl.String)
    note = large_groups(groups, shop.dataset.n_items)
    return [] if note is None else [note]


def _taken(
    n: int, told: Sequence[dict[str, Any]], wrong: Sequence[str] = (), notes: Sequence[str] = ()
) -> Response:
    said: dict[str, Any] = {"refused": len(wrong), "errors": wrong[:DESCRIBED]}
    if notes:
        said["notices"] = notes
    return as_json({"accepted": n, "cleaned": len(told), "changes": told[:SHOWN], **said})


@router.patch("", scope="write", openapi_extra=_LINES_OR_LIST, responses=_TAKEN | CONFLICT)
async def patch_items(request: Request) -> Response:
    """Changes some fields of many items at once, such as prices and stock; only what is sent is touched.

    A list: all of them or none; 404 names an item that the shop does not have, or that was removed from it.
    Lines (NDJSON): valid ones are taken, and errors describe the others. If an item is named twice, the
    later fields count.
    """
    service = service_of(request)
    shop = service.shop
    wrong: list[str] = []
    if kind_of(request) in LINES:
        content, limits = await request.body(), limits_of(request)
        lines, wrong = await asyncio.to_thread(_patches_of_lines, service.changes, content, limits)
        n, (bodies, told) = await asyncio.to_thread(_bodies, shop, lines, whole=False)
    else:
        n, (bodies, told) = await read(
            request, lambda value: _bodies(shop, _PATCHES(value), whole=False), (JSON, *LINES)
        )
    await service.changes.patch_items(bodies)
    return _taken(n, told, wrong, _notes(shop, bodies))


def _patches_of_lines(
    changes: Changes, content: bytes, limits: ApiLimits
) -> tuple[list[PatchOfBatch], list[str]]:
    """The lines that can be taken, and what is wrong with the others."""
    lines = [(at, line) for at, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    if len(lines) > LARGEST_BATCH:
        raise DataError(f"a batch holds at most {LARGEST_BATCH:,} items (found {len(lines):,})")
    taken, wrong = [], []
    for at, line in lines:
        try:
            one = _PATCH_LINE.at(parse(line, limits))
            item_body(one)
            changes.check_listed([one.id])
            taken.append(one)
        except (DataError, UnknownIdError) as error:
            wrong.append(f"line {at}: {error}")
    return taken, wrong


@router.patch("/{item}", scope="write", openapi_extra=takes(_PATCH), responses=_ITEM | CONFLICT)
async def patch_item(request: Request, item: ItemId) -> Response:
    """Changes some fields: a price, the stock. When this answers, it holds in every list."""
    service = service_of(request)
    shop = service.shop
    bodies, told = await read(
        request, lambda value: cleaned(shop, {item: item_body(_PATCH(value))}, whole=False)
    )
    await service.changes.patch_items(bodies)
    shop = service.shop  # rows may be others than before: a new item may have been deleted meanwhile
    return as_json(of_item(shop, shop.dataset.item_ids.row(item), told))


@router.delete("/{item}", scope="write", status_code=204)
async def delete_item(request: Request, item: ItemId) -> Response:
    """Removes an item from the shop; it is in no list from now on."""
    service = service_of(request)
    service.shop.dataset.item_ids.row(item)
    await service.changes.delete_item(item, who_asks(request))
    return Response(status_code=204)


@router.get("/{item}/picture", scope="read", responses=_SHOWN, response_class=Response)
async def get_picture(
    request: Request,
    item: ItemId,
    v: Annotated[str, Query(max_length=100, description="The version, as lists name it")] = "",
) -> Response:
    """The picture of an item that was uploaded, fetched from its address, or lies beside the model.

    The browser that asked may cache it: for a day at the address that lists give, which names its version;
    otherwise as long as `If-None-Match` finds it unchanged.
    """
    service = service_of(request)
    _row(service.shop, item)
    version = await service.read(service.shop.shown.version, item)
    headers = _kept_by_browsers(version, named=v)
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if version and known & {headers["etag"], "*"}:
        return Response(status_code=304, headers=headers)
    content = await service.read(service.store.picture, item)
    if not content and (file := service.shop.shown.file(item)) is not None:
        content = await service.read(read_file, file, LARGEST)
    if not content:
        raise UnknownIdError(f"item {shorten(item)} has no stored picture")
    return Response(content, media_type=type_of(content), headers=headers)


def _kept_by_browsers(version: str, *, named: str) -> dict[str, str]:
    """Headers of a picture: no proxy keeps it, and no browser shows it to another key or for another shop."""
    kept = f"max-age={KEPT_SECONDS}" if named == version else "no-cache"
    return {
        "etag": f'"{version}"',
        "cache-control": f"private, {kept}",
        "vary": "authorization, x-api-key, x-shop",
    }


@router.put(
    "/{item}/picture",
    scope="write",
    openapi_extra=_PICTURE,
    responses=_ITEM | _NEW | CONFLICT,
)
async def put_picture(request: Request, item: ItemId) -> Response:
    """Sets the picture of an item, which may be new. When this answers, it can be recommended from it."""
    service = service_of(request)
    if (kind := kind_of(request)) not in TYPES:
        raise HTTPException(
            415, f"a picture must be {', '.join(TYPES[:-1])} or {TYPES[-1]} (found {kind[:60]!r})"
        )
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise HTTPException(413, f"a picture must not exceed {LARGEST:,} bytes")
    new = item not in service.shop.dataset.item_ids
    await service.changes.put_picture(item, bytes(content))
    return as_json(of_item(service.shop, service.shop.dataset.item_ids.row(item)), 201 if new else 200)


@router.delete("/{item}/picture", scope="write", status_code=204)
async def delete_picture(request: Request, item: ItemId) -> Response:
    """Deletes a picture that was fetched or uploaded; the item is placed by its text."""
    service = service_of(request)
    await service.changes.delete_picture(item, who_asks(request))
    return Response(status_code=204)
