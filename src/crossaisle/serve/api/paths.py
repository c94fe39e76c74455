"""Ids of any characters in paths: a path is compared as it was written, and its parts are decoded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from crossaisle.errors import DataError
from crossaisle.serve.api.query_names import check_names, parameters_of

PARAMETERS = 256
"""Of one query: 100 categories to have, 100 to leave out, and what else there is."""
_PLAIN = re.compile(rb"[A-Za-z0-9_.~/-]*").fullmatch


class WrittenPaths:
    """ASGI middleware: `path` is the path as it was written, with one way to write each character.

    A slash within an id stays `%2F`, and `/api/%75sers` is `/api/users` for whoever compares: keys and routes
    see the same text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or quote(scope["path"]).encode()
            scope["path"] = raw.decode() if _PLAIN(raw) else _written(raw)
        await self.app(scope, receive, send)


def _written(raw: bytes) -> str:
    return "/".join(quote_from_bytes(unquote_to_bytes(part), safe="") for part in raw.split(b"/"))


class Route(APIRoute):
    """A route whose ids are decoded; its query must be short and UTF-8."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, known = super().get_route_handler(), parameters_of(self)

        async def decoded(request: Request) -> Response:
            query = request.scope["query_string"]
            if query.count(b"&") >= PARAMETERS:
                raise DataError(f"a query has at most {PARAMETERS} parameters")
            if b"%" in query:
                _text(query, "the query")
            if known is not None:
                check_names(request, known)
            params = request.scope["path_params"]
            if any("%" in value for value in params.values()):
                request.scope["path_params"] = {
                    name: _text(value, "the path") for name, value in params.items()
                }
            return await handle(request)

        return decoded


def _text(written: str | bytes, what: str) -> str:
    try:
        return unquote_to_bytes(written).decode()
    except UnicodeDecodeError:
        raise DataError(f"{what} must be UTF-8, each byte of it that is no plain letter as %XX") from None
