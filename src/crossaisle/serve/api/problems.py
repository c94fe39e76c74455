"""Errors as problem details (RFC 9457): `application/problem+json` with title, status and detail."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

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
from crossaisle.serve.api.requests.request_body import InvalidError, described
from crossaisle.serve.store.store import Busy

_LOG = logging.getLogger(__name__)
UNAVAILABLE = "the store does not answer: try again in a moment, with the same key for each event"
"""What a client is told; the log says where the store is and what is wrong with it."""
NOT_KEPT = "; nothing was kept"
"""Told as well: the client must know whether its events were written."""
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


class RefusedError(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        super().__init__(detail)


def body_of(status: int, detail: str, **more: Any) -> bytes:
    """The JSON of a problem."""
    title = HTTPStatus(status).phrase
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A response with problem details."""
    if status in (429, 503):
        headers = {"Retry-After": "1", **(headers or {})}
    return Response(body_of(status, detail, **more), status, headers, media_type="application/problem+json")


def install(app: FastAPI, *, log_again_seconds: float) -> None:
    """Registers handlers that return every error as problem details.

    `log_again_seconds`: how often the same error of the store is logged.
    """
    log = _RepeatedErrors(log_again_seconds)

    @app.exception_handler(CrossaisleError)
    async def known(request: Request, error: CrossaisleError) -> Response:
        by_kind = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        status: int = getattr(error, "status", by_kind)
        if isinstance(error, InvalidError):
            return problem(status, str(error), errors=error.errors)
        if isinstance(error, StoreError) and not isinstance(error, Busy):
            context = request.scope.get("context")
            service = None if context is None else context.tenant.service
            if service is None or service.store.up:  # otherwise the store has logged it itself, once
                log.error(str(error))
            return problem(status, UNAVAILABLE + (NOT_KEPT if str(error).endswith(NOT_KEPT) else ""))
        if isinstance(error, MissingDependencyError):  # its command holds places of this machine
            _LOG.error("%s", error)
            return problem(status, f"{error.what} where the service runs (extra {error.extra!r})")
        return problem(status, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        broken = InvalidError(described(error.errors()))
        return problem(422, str(broken), errors=broken.errors)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := allowed(app.routes, request.scope["path"])):
            headers["Allow"] = methods
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        _LOG.error("unexpected error", exc_info=error)
        return problem(500, "unexpected error; see the service's log")


class _RepeatedErrors:
    """Logs the same error once in a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._text, self._at = "", float("-inf")

    def error(self, text: str) -> None:
        now = time.monotonic()
        if text != self._text or now - self._at >= self._seconds:
            self._text, self._at = text, now
            _LOG.error("%s", text)


def allowed(routes: Iterable[BaseRoute], path: str) -> str:
    """The methods of a path, for `Allow`. Where a path is also a valid id, only its own routes count."""
    fit = [route for route in routes if isinstance(route, APIRoute) and route.path_regex.match(path)]
    fit = [route for route in fit if route.path == path] or fit
    return ", ".join(sorted({method for route in fit for method in route.methods or ()}))
