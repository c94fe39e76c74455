"""Answers what is refused further in, and requests that are cut off when the service ends."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.problems import RefusedError, body_of

ENDING = RefusedError(503, "the service is shutting down: try again", {"Retry-After": "1"})


class RefusalMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, tracked)
        except RefusedError as refused:
            if not started:
                await _refuse(send, refused)
        except ClientDisconnect:  # nobody is there to be told
            context_of(scope).gone = True
        except asyncio.CancelledError:  # the service ends and has waited for long enough
            if not started:
                await _refuse(send, ENDING)


async def _refuse(send: Send, refused: RefusedError) -> None:
    body = body_of(refused.status, refused.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
