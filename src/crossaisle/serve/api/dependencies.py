"""What endpoints take from a request: the shop's service, the caller's name, and ids of its path."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from pydantic import AfterValidator

from crossaisle.data.text.ids import same_id
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.requests.schemas import LONGEST_ID
from crossaisle.serve.service import ShopService

UserId = Annotated[str, Path(min_length=1, max_length=LONGEST_ID, examples=["1609"]), AfterValidator(same_id)]
ItemId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, examples=["1024306"]), AfterValidator(same_id)
]


def service_of(request: Request) -> ShopService:
    """The shop that a request names. Routes that need a key have one."""
    service = context_of(request.scope).tenant.service
    assert service is not None
    return service


def who_asks(request: Request) -> str:
    """The name of the key, or the address where there is no key, as the audit log shows it.

    Both for a publishable key: many visitors have it.
    """
    key, address = context_of(request.scope).key, request.client.host if request.client else "unknown"
    if key is None:
        return f"no key, {address}"
    return f"{key.name}, {address}" if key.publishable else key.name
