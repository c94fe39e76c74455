"""Lists: for a person, a session, a cart, an item, or everybody."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from crossaisle.api_types import CategorySize, RecommendedList
from crossaisle.data.query import Placement
from crossaisle.serve.api.dependencies import ItemId, UserId, service_of, who_asks
from crossaisle.serve.api.request_body import Checked, read, takes
from crossaisle.serve.api.responses import LIST_EXAMPLE, answered, as_json, of_list
from crossaisle.serve.api.routing import Router
from crossaisle.serve.api.schemas import Level, ListRequest

router = Router("/api", tags=["lists"], scope="read")
_QUESTION = Checked(ListRequest)
LIST = answered(RecommendedList, LIST_EXAMPLE)
N = Annotated[int, Query(ge=1, le=100, description="Length of the list")]
Offset = Annotated[int, Query(ge=0, le=1000, description="Places to pass over, for the next page")]


def _none() -> list[str]:
    """No categories. Not `list`, whose signature pydantic would parse at every request."""
    return []


Categories = Annotated[list[Level], Query(max_length=100, default_factory=_none)]


@router.get("/recommend/{user}", responses=LIST, response_class=Response)
async def recommend(
    request: Request,
    user: UserId,
    include: Categories,
    exclude: Categories,
    placement: Literal["for_you", "discover", "buy_again", "trending"] = "for_you",
    n: N = 10,
    offset: Offset = 0,
    share: Annotated[str | None, Query(description="0 to 1, or auto", examples=["0.5"])] = None,
    quota: Annotated[int | None, Query(ge=1, description="At most this many of one category")] = None,
    min_price: Annotated[float | None, Query(ge=0, lt=1e12, allow_inf_nan=False)] = None,
    max_price: Annotated[float | None, Query(ge=0, lt=1e12, allow_inf_nan=False)] = None,
    exclude_seen: bool | None = None,
    sold_out: bool = False,
    diversity: Annotated[float | None, Query(ge=0, le=1)] = None,
    explain: bool = False,
) -> Response:
    """A list for a person. Events that were acknowledged count in it."""
    question = ListRequest(
        placement=placement,
        user=user,
        n=n,
        offset=offset,
        include=include,
        exclude=exclude,
        share=_share(share),
        quota=quota,
        min_price=min_price,
        max_price=max_price,
        exclude_seen=exclude_seen,
        sold_out=sold_out,
        diversity=diversity,
        explain=explain,
    )
    answer, within = await service_of(request).recommend_to(question.query(), who_asks(request))
    return of_list(answer, offset, within)


def _share(text: str | None) -> float | Literal["auto"] | None:
    from crossaisle.errors import ConfigError

    if text is None or text == "auto":
        return text  # type: ignore[return-value]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"share must be a number from 0 to 1, or auto (found {text[:20]!r})")
    return value


@router.post("/recommend", openapi_extra=takes(_QUESTION), responses=LIST, response_class=Response)
async def ask(request: Request) -> Response:
    """The same with a session or a cart in place of a person, which is not kept."""
    question = await read(request, _QUESTION)
    answer, within = await service_of(request).recommend_to(question.query(), who_asks(request))
    return of_list(answer, question.offset, within)


@router.get("/items/{item}/goes-with", responses=LIST, response_class=Response)
async def goes_with(
    request: Request, item: ItemId, n: N = 10, offset: Offset = 0, explain: bool = False
) -> Response:
    """What complements an item, from other categories."""
    question = ListRequest(placement="goes_with", items=[item], n=n, offset=offset, explain=explain)
    return of_list(await service_of(request).recommend(question.query(), who_asks(request)), offset)


@router.get("/items/{item}/similar", responses=LIST, response_class=Response)
async def similar(
    request: Request, item: ItemId, n: N = 10, offset: Offset = 0, explain: bool = False
) -> Response:
    """Substitutes for an item."""
    question = ListRequest(placement="similar", items=[item], n=n, offset=offset, explain=explain)
    return of_list(await service_of(request).recommend(question.query(), who_asks(request)), offset)


@router.get("/trending", responses=LIST, response_class=Response)
async def trending(
    request: Request, include: Categories, exclude: Categories, n: N = 10, offset: Offset = 0
) -> Response:
    """Popular now, the same for everybody."""
    place: Placement = "trending"
    question = ListRequest(placement=place, n=n, offset=offset, include=include, exclude=exclude)
    return of_list(await service_of(request).recommend(question.query(), who_asks(request)), offset)


@router.get(
    "/categories",
    responses=answered(list[CategorySize], [{"name": "Produce > Melons", "items": 61}]),
    response_class=Response,
)
async def categories(request: Request) -> Response:
    """Every category of the shop's level, with the number of its items."""
    import numpy as np

    shop = service_of(request).shop
    codes, names = shop.dataset.taxonomy.codes(), shop.dataset.taxonomy.names()
    sizes = np.bincount(codes[(codes >= 0) & shop.grown.listed], minlength=len(names))
    return as_json([{"name": name, "items": int(n)} for name, n in zip(names, sizes, strict=True) if n])
