"""Limits the size of bodies, the time they take, and the room that all of them together take."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Hashable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.limits.api import ApiLimits

_LONGEST_LENGTH = 18
"""Digits of a `Content-Length` that are read at all."""


class BodyLimitMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, largest_body: int, limits: ApiLimits) -> None:
        """`largest_body`: bytes of one request."""
        self.app, self.largest_body, self.limits = app, largest_body, limits
        self.held = 0
        """Bytes of all requests under way."""
        self.held_of: Counter[Hashable] = Counter()
        """The same by client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = context_of(scope)
        length = context.headers.get(b"content-length", b"0")
        too_long = not length.isdigit() or len(length) > _LONGEST_LENGTH
        largest, address = self.largest_body, (scope.get("client") or ("",))[0]
        if context.needs == "visitor":
            largest = min(largest, self.limits.visitor_body_bytes)
        if too_long or int(length) > largest:
            raise RefusedError(413, _rule(largest))
        client: Hashable = (context.tenant, context.key or address)
        if context.key is not None and context.key.publishable:
            client = (client, address)
        body = _Body(self, client, largest, receive, send)
        try:
            await self.app(scope, body.receive, body.send)
            if body.refused is not None:
                raise body.refused
        finally:
            body.release()
            context.gone = body.gone


def _rule(largest: int) -> str:
    return f"the body must not exceed {largest:,} bytes"


class _Body:
    """The body of one request, as it comes in."""

    def __init__(
        self, all_of: BodyLimitMiddleware, client: Hashable, largest: int, receive: Receive, send: Send
    ) -> None:
        self._all, self._client, self._largest, self._receive, self._send = (
            all_of,
            client,
            largest,
            receive,
            send,
        )
        self._patience = all_of.limits.body_seconds
        self._read = 0
        self._whole = self._started = False
        self.gone = False
        """Whether the client went away before the body was whole."""
        self.refused: RefusedError | None = None
        """Why no more of it is read."""

    async def receive(self) -> Message:
        """The next part; raises `RefusedError`."""
        limits, before = self._all.limits, time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            rule = f"the body came too slowly: at least {limits.body_bytes_per_second:,} bytes a second"
            self.refused = RefusedError(408, rule, {"Connection": "close"})
            raise self.refused from None
        size = len(message.get("body", b""))
        left = self._patience - (time.monotonic() - before) + size / limits.body_bytes_per_second
        self._patience = min(left, limits.body_seconds)
        self._hold(size)
        self.refused = self._broken()
        if self.refused is not None:
            raise self.refused
        self.gone = message["type"] == "http.disconnect" and not self._whole
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Passes an answer on, unless the body was refused: then a route answers what it cannot know."""
        if self.refused is None or self._started:
            self._started = True
            await self._send(message)

    def release(self) -> None:
        """Gives the room back."""
        if self._read:
            self._hold(-self._read)
            if not self._all.held_of[self._client]:
                del self._all.held_of[self._client]

    def _hold(self, size: int) -> None:
        self._read += size
        self._all.held += size
        self._all.held_of[self._client] += size

    def _broken(self) -> RefusedError | None:
        """The limit that is broken now, of the request before those of the client and of all."""
        limits, again = self._all.limits, {"Connection": "close", "Retry-After": "1"}
        if self._read > self._largest:
            return RefusedError(413, _rule(self._largest), {"Connection": "close"})
        if self._all.held_of[self._client] > limits.client_bodies_bytes:
            most = f"more than {limits.client_bodies_bytes:,} bytes of your requests are in progress"
            return RefusedError(429, f"{most}: wait for an answer", again)
        if self._all.held > limits.all_bodies_bytes:
            return RefusedError(503, "too many large bodies at once: try again in a moment", again)
        return None
