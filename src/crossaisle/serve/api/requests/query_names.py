"""Refuses query parameters that a route does not have, instead of ignoring them."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from crossaisle.data.query_text import hint_of
from crossaisle.serve.api.requests.request_body import InvalidError, described


def parameters_of(route: APIRoute) -> tuple[str, ...] | None:
    """Names of a route's query parameters; None if they need no check.

    That is so for probes and scrapes, which take nothing, and for models, which check the names themselves.
    """
    found = route.dependant.query_params
    types = [one.field_info.annotation for one in found]
    if any(isinstance(one, type) and issubclass(one, BaseModel) for one in types):
        return None
    probed = not found and (route.methods or set()) <= {"GET", "HEAD"}
    return None if probed else tuple(one.alias for one in found)


def check_names(request: Request, known: Collection[str]) -> None:
    """Raises `InvalidError` for the first parameter that is not known; it names the closest one."""
    for name in request.query_params:
        if name not in known:
            rule = f"unknown parameter{hint_of(name, known)}"
            raise InvalidError(described([{"loc": ("query", name), "msg": rule}]))
