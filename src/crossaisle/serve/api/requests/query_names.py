"""Refuses query parameters that a route does not have, or that are given twice, instead of ignoring them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_origin

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from crossaisle.data.text.query_text import hint_of
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


def lists_of(route: APIRoute) -> frozenset[str]:
    """Query parameters of a route that may be given several times."""
    return frozenset(name for name, kind in _types(route) if get_origin(kind) is list)


def _types(route: APIRoute) -> Iterator[tuple[str, object]]:
    for one in route.dependant.query_params:
        kind = one.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((name, field.annotation) for name, field in kind.model_fields.items())
        else:
            yield one.alias, kind


def check_once(request: Request, lists: Collection[str]) -> None:
    """Raises `InvalidError` for a parameter that is given twice and is no list: one would be ignored."""
    query = request.query_params
    if len(query.multi_items()) > len(query):
        for name in query:
            if name not in lists and len(query.getlist(name)) > 1:
                raise InvalidError(described([{"loc": ("query", name), "msg": "is given more than once"}]))
