"""Errors as problem details (RFC 9457): `application/problem+json` with title, status and detail."""

from __future__ import annotations

import logging
import time
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
from crossaisle.serve.api.request_body import InvalidError, described
from crossaisle.serve.store.store import Busy

_LOG = logging.getLogger(__name__)
UNAVAILABLE = "the store does not answer: try again in a moment, events with the same key"
"""What a client is told; where the store is and what is wrong with it stands in the log."""
NOT_KEPT = "; nothing was kept"
"""But whether it was written is the client's business."""
SILENCE_SECONDS = 10.0
"""The same trouble with the store is logged this often."""
_logged: dict[str, float] = {}
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
    async def known(request: Request, error: CrossaisleError) -> Response:
        by_kind = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        status: int = getattr(error, "status", by_kind)
        if isinstance(error, InvalidError):
            return problem(status, str(error), errors=error.errors)
        if isinstance(error, StoreError) and not isinstance(error, Busy):
            service = request.scope.get("service")
            if service is None or service.store.up:  # else the store has said so itself, once
                _log_now_and_then(str(error))
            return problem(status, UNAVAILABLE + (NOT_KEPT if str(error).endswith(NOT_KEPT) else ""))
        return problem(status, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        broken = InvalidError(described(error.errors()))
        return problem(422, str(broken), errors=broken.errors)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := allowed(routers, request.scope["path"])):
            headers["Allow"] = methods
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        _LOG.error("unexpected error", exc_info=error)
        return problem(500, "unexpected error; the service's log tells more")


def _log_now_and_then(text: str) -> None:
    now = time.monotonic()
    if now - _logged.get(text, -SILENCE_SECONDS) >= SILENCE_SECONDS:
        _logged.clear()
        _logged[text] = now
        _LOG.error("%s", text)


def allowed(routers: Sequence[APIRouter], path: str) -> str:
    """The methods of all routes of a path, for `Allow`; of a path that could be an id, too, its own."""
    routes = [one for router in routers for one in router.routes if isinstance(one, APIRoute)]
    fit = [route for route in routes if route.path_regex.match(path)]
    fit = [route for route in fit if route.path == path] or fit
    return ", ".join(sorted({method for route in fit for method in route.methods or ()}))
