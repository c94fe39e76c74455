"""Answers requests whose query was checked before, without going through the framework again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from crossaisle.errors import CrossaisleError
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.routing import Route


class DirectMiddleware:
    """ASGI middleware, the innermost: the route is found and the key checked, so that nothing is left to do
    but what the route does. FastAPI's router, stacks and handlers take as long as all middlewares together.

    Errors are answered by the handler that FastAPI would find for them. Not where FastAPI traces requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = context_of(scope).route if scope["type"] == "http" else None
        remembered = route.remembered if isinstance(route, Route) else None
        if route is None or remembered is None or scope.get("fastapi.telemetry") is not None:
            await self.app(scope, receive, send)
            return
        match = route.path_regex.match(scope["path"])
        scope["path_params"] = {} if match is None else match.groupdict()
        request = Request(scope, receive)
        values = remembered.values(request)
        if values is None:
            del scope["path_params"]
            await self.app(scope, receive, send)
            return
        scope["route"], scope["endpoint"] = route, route.endpoint
        try:
            response = await route.endpoint(request=request, **values)
        except CrossaisleError as error:
            response = await scope["app"].exception_handlers[CrossaisleError](request, error)
        await response(scope, receive, send)
