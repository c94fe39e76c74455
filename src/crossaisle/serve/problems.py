"""Errors as problem details (RFC 9457): `application/problem+json` with title, status and detail."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from crossaisle.errors import (
    ArtifactError,
    ConfigError,
    ConflictError,
    CrossaisleError,
    DataError,
    FetchError,
    MissingDependencyError,
    StoreError,
    UnknownIdError,
)

_LOG = logging.getLogger(__name__)
STATUS: dict[type[CrossaisleError], int] = {
    UnknownIdError: 404,
    ConfigError: 422,
    DataError: 422,
    ArtifactError: 409,
    ConflictError: 409,
    FetchError: 409,
    MissingDependencyError: 409,
    StoreError: 503,
}


def body_of(status: int, detail: str, **more: Any) -> bytes:
    """The JSON of a problem."""
    title = HTTPStatus(status).phrase
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The answer that tells of a problem."""
    if status in (429, 503):
        headers = {"Retry-After": "1", **(headers or {})}
    return Response(body_of(status, detail, **more), status, headers, media_type="application/problem+json")


def install(app: FastAPI, routers: Sequence[APIRouter] = ()) -> None:
    """Has every error answered as a problem. `routers`: where `Allow` looks for the methods of a path."""

    @app.exception_handler(CrossaisleError)
    async def known(_: Request, error: CrossaisleError) -> Response:
        by_kind = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        status: int = getattr(error, "status", by_kind)
        return problem(status, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = [
            {"where": ".".join(str(part) for part in e["loc"]), "rule": e["msg"]} for e in error.errors()
        ]
        first = found[0]
        return problem(422, f"{first['where']}: {first['rule']}", errors=found)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := allowed(routers, request.url.path)):
            headers["Allow"] = methods
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        _LOG.error("unexpected error", exc_info=error)
        return problem(500, "unexpected error; the service's log tells more")


def allowed(routers: Sequence[APIRouter], path: str) -> str:
    """The methods of all routes of a path, for `Allow`."""
    found: set[str] = set()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.path_regex.match(path):
                found |= route.methods or set()
    return ", ".join(sorted(found))
