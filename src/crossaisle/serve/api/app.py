"""`create_app`: routes, errors and limits around one shop or several."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from crossaisle import __version__
from crossaisle.serve.api import access, openapi, problems
from crossaisle.serve.api.middleware import stack
from crossaisle.serve.api.origins import origins_of
from crossaisle.serve.api.routes import (
    changes,
    console,
    events,
    experiments,
    items,
    lists,
    page,
    reference,
    rules,
    state,
    users,
    visitor,
)
from crossaisle.serve.api.tenancy import TenantGate
from crossaisle.serve.limits.api import DEFAULT, ApiLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.tenants import ShopRegistry

_LOG = logging.getLogger(__name__)
LARGEST_BODY = 16_000_000
ROUTERS = (
    lists.router,
    events.router,
    items.router,
    changes.router,
    users.router,
    rules.router,
    experiments.router,
    state.router,
    console.router,
    visitor.router,
)


def create_app(
    service: ShopService | ShopRegistry,
    *,
    largest_body: int = LARGEST_BODY,
    rate: float | None = None,
    hosts: frozenset[str] = access.LOOPBACK,
    keyless: bool | None = None,
    proxies: Sequence[str] = (),
    origins: Sequence[str] = (),
    limits: ApiLimits = DEFAULT,
) -> FastAPI:
    """The ASGI application. `hosts` are the names it answers to while requests need no key.

    `keyless`: whether they need none; by default where no key was ever made. `proxies`: addresses and
    networks whose `X-Forwarded-For` is trusted. `origins`: of the shop's pages.
    `TypeError` for a route without a scope.
    """
    shops = service if isinstance(service, ShopRegistry) else ShopRegistry.alone(service)
    if keyless is None:
        with shops.stores() as stores:
            keyless = access.keyless("localhost", proxies, stores)
    gate = TenantGate(shops, rate=rate, keyless=keyless, origins=origins_of(origins), limits=limits)
    # Not by `include_router`: it builds the routes anew at the first request, which takes seconds.
    routes = [route for router in ROUTERS for route in router.routes]
    app = FastAPI(
        title="crossaisle",
        version=__version__,
        summary="Cross-category product recommendation that follows what people do",
        routes=[*routes, *page.routes(), *reference.routes(), visitor.script()],
        lifespan=_lifespan(shops, gate),
        openapi_url=None,  # `openapi` serves it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to wherever the Host header says
    )
    app.state.limits = limits
    openapi.install(app, shops=len(shops.names) if shops.named else 0)
    problems.install(app, log_again_seconds=limits.log_again_seconds)
    trusted = access.Proxies(proxies)
    stack.install(app, gate=gate, hosts=hosts, proxies=trusted, largest_body=largest_body, limits=limits)
    return app


def _lifespan(
    shops: ShopRegistry, gate: TenantGate
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for service in shops.services.values():
            await service.start()
        tasks = [asyncio.create_task(_prepare(shops)), asyncio.create_task(gate.reopen_failed())]
        # So that nobody waits for the document, nor for it to be made at the start.
        document = asyncio.get_running_loop().call_later(1.0, app.openapi)
        yield
        document.cancel()
        for task in tasks:
            task.cancel()
        try:
            for failed in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failed, Exception):  # which is no reason to leave anything unwritten
                    _LOG.error("work in the background failed", exc_info=failed)
            for service in shops.services.values():
                await service.stop()
        finally:
            shops.close()

    return lifespan


async def _prepare(shops: ShopRegistry) -> None:
    """Prepares lists of one shop after the other, while no shop is asked anything."""
    for service in list(shops.services.values()):
        await service.prepare(lambda: shops.idle_seconds)
