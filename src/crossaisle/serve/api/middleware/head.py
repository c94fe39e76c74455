"""Answers HEAD as GET without a body, for monitors and proxies."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LISTS = ("/api/recommend", "/api/items/", "/api/trending")
"""A list counts as shown, so nobody gets one whose body is thrown away."""
PICTURE = "/picture"


class HeadMiddleware:
    """ASGI middleware: routes only ever see GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or _is_list(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def bare(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, bare)


def _is_list(path: str) -> bool:
    return path.startswith(LISTS) and not path.endswith(PICTURE)
