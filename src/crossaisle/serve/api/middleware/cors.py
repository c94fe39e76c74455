"""Lets pages of the shop's origins read answers for visitors. Everything else stays closed to other pages."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.routing import VISITOR

_REMEMBERED = b"7200"
"""Seconds for which a browser need not ask again; no browser remembers for longer than a day."""


class CorsMiddleware:
    """ASGI middleware. An origin must be named, letter for letter; credentials are never allowed.

    Requests that need no permission (a beacon, a form) come in without any of this: `ApiKeyMiddleware`
    refuses those of other origins.
    """

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        self.app, self._origins = app, frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{VISITOR}/"):
            await self.app(scope, receive, send)
            return
        named = [value for name, value in scope["headers"] if name == b"origin"]
        added = [(b"vary", b"Origin")]
        if len(named) == 1 and named[0] in self._origins:
            added.append((b"access-control-allow-origin", named[0]))
            added.append((b"cross-origin-resource-policy", b"cross-origin"))
            if scope["method"] == "OPTIONS":
                await _permit(send, added)
                return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self.app(scope, receive, told)


async def _permit(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    """Answers a browser that asks before it sends JSON."""
    headers = [
        *headers,
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"content-type"),
        (b"access-control-max-age", _REMEMBERED),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
