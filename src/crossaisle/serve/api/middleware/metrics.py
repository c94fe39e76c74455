"""Counts every request, refused ones too, and takes its time."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.tenancy import TenantGate

GONE = 499
"""Counted for a client that went away before its request was whole; nobody is answered."""


class MetricsMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, gate: TenantGate) -> None:
        """`gate`: whose `unnamed` metrics count requests that name no shop."""
        self.app, self._unnamed = app, gate.unnamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        finally:
            context = scope.get("context")
            metrics = self._unnamed if context is None else context.tenant.metrics
            if context is not None and context.gone:
                status = GONE
            route = getattr(scope.get("route"), "path", "other")
            metrics.observe(route, status, time.perf_counter() - start)
