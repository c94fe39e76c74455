"""Gives every path one spelling, so that keys and routes compare the same text."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

_PLAIN = re.compile(rb"[A-Za-z0-9_.~/-]*").fullmatch


class CanonicalPathMiddleware:
    """ASGI middleware: `path` is the path as it was written, with one way to write each character.

    A slash within an id stays `%2F`, and `/api/%75sers` is `/api/users` for whoever compares.
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
