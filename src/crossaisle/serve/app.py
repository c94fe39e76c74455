"""The application: routes, errors and limits put together around a `Service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import Response

from crossaisle import __version__
from crossaisle.client.answers import Problem
from crossaisle.serve import openapi, problems, routes_experiments, routes_items, routes_lists, routes_state
from crossaisle.serve.guard import LOOPBACK, Guard
from crossaisle.serve.keys import Keys
from crossaisle.serve.service import Service

LARGEST_BODY = 16_000_000
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def create_app(
    service: Service,
    *,
    largest_body: int = LARGEST_BODY,
    rate: float | None = None,
    hosts: frozenset[str] = frozenset(LOOPBACK),
) -> FastAPI:
    """The ASGI application. `hosts` are the names it answers to while there is no API key."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        preparing = asyncio.create_task(service.prepare())
        yield
        preparing.cancel()
        with suppress(asyncio.CancelledError):
            await preparing
        service.close()

    app = FastAPI(
        title="crossaisle",
        version=__version__,
        summary="Cross-category product recommendation that follows what people do",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses={422: {"model": Problem}},
    )
    app.state.service = service
    routers = (routes_lists.router, routes_items.router, routes_experiments.router, routes_state.router)
    for router in routers:
        app.include_router(router)
    openapi.install(app)
    problems.install(app, routers)
    _add_page(app)
    app.add_middleware(
        Guard,
        metrics=service.metrics,
        keys=Keys(service.store),
        largest_body=largest_body,
        rate=rate,
        hosts=hosts,
    )
    return app


def _add_page(app: FastAPI) -> None:
    """The files of the page, read once."""
    for file in sorted((files("crossaisle.serve") / "page").iterdir(), key=lambda f: f.name):
        kind = TYPES.get(file.name.rsplit(".", 1)[-1])
        if kind is None:
            continue
        content = file.read_bytes()

        async def answer(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        app.add_api_route(path, answer, include_in_schema=False, methods=["GET"], response_model=None)
