"""Adds the headers that protect whoever opens an answer in a browser."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.routing import API

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", POLICY.encode()),
)


class SecurityHeadersMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, worker: int | None = None) -> None:
        """`worker`: the number of this process, where there are several; sent as `X-Worker`."""
        self.app = app
        self._headers = [*HEADERS, *([] if worker is None else [(b"x-worker", str(worker).encode())])]
        self._uncached = [*self._headers, (b"cache-control", b"no-store")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = self._uncached if scope["path"].startswith(API) else self._headers

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        await self.app(scope, receive, guarded)
