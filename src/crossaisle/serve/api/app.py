"""The application: routes, errors and limits put together around one shop or several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import Response

from crossaisle import __version__
from crossaisle.api_types import Problem
from crossaisle.serve.api import access, openapi, problems
from crossaisle.serve.api.limits import ApiLimits
from crossaisle.serve.api.middleware import Guard
from crossaisle.serve.api.paths import WrittenPaths
from crossaisle.serve.api.routes import events, experiments, items, lists, state, users
from crossaisle.serve.api.tenancy import TenantGate
from crossaisle.serve.service import ShopService
from crossaisle.serve.tenants import ShopRegistry

LARGEST_BODY = 16_000_000
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def create_app(
    service: ShopService | ShopRegistry,
    *,
    largest_body: int = LARGEST_BODY,
    rate: float | None = None,
    hosts: frozenset[str] = access.LOOPBACK,
    keyless: bool | None = None,
    proxies: Sequence[str] = (),
    limits: ApiLimits = ApiLimits(),
) -> FastAPI:
    """The ASGI application. `hosts` are the names it answers to while requests need no key.

    `keyless`: whether they need none; by default where no key was ever made. `proxies`: addresses and
    networks whose `X-Forwarded-For` is believed.
    """
    shops = service if isinstance(service, ShopRegistry) else ShopRegistry.alone(service)
    if keyless is None:
        with shops.stores() as stores:
            keyless = access.keyless("localhost", proxies, stores)
    doors = TenantGate(shops, rate=rate, keyless=keyless, limits=limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for service in shops.services.values():
            await service.start()
        tasks = [asyncio.create_task(_prepare(shops)), asyncio.create_task(doors.mend())]
        yield
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        for service in shops.services.values():
            await service.stop()
        shops.close()

    app = FastAPI(
        title="crossaisle",
        version=__version__,
        summary="Cross-category product recommendation that follows what people do",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead wherever the Host header says
        responses={422: {"model": Problem}},
    )
    modules = lists, events, items, users, experiments, state
    routers = [one.router for one in modules]
    for router in routers:
        app.include_router(router)
    openapi.install(app, shops=len(shops.names) if shops.named else 0)
    problems.install(app, routers)
    _add_page(app)
    trusted = access.Proxies(proxies)
    app.add_middleware(
        Guard, doors=doors, largest_body=largest_body, hosts=hosts, proxies=trusted, limits=limits
    )
    app.add_middleware(WrittenPaths)
    return app


async def _prepare(shops: ShopRegistry) -> None:
    """One shop after the other, while nobody of any shop waits."""
    for service in list(shops.services.values()):
        await service.prepare(lambda: shops.idle_seconds)


def _add_page(app: FastAPI) -> None:
    """The files of the page, read once."""
    for file in sorted((files("crossaisle.serve.api") / "page").iterdir(), key=lambda f: f.name):
        kind = TYPES.get(file.name.rsplit(".", 1)[-1])
        if kind is None:
            continue
        content = file.read_bytes()

        async def answer(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        app.add_api_route(path, answer, include_in_schema=False, methods=["GET"], response_model=None)
