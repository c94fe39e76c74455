"""Opens the shops and builds the application, in the one process or in each worker."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from crossaisle.errors import StoreError
from crossaisle.serve.api import access
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.server.settings import Settings
from crossaisle.serve.server.traces import trace

if TYPE_CHECKING:
    from fastapi import FastAPI

    from crossaisle.serve.limits.serving import ServingLimits
    from crossaisle.serve.tenants import ShopRegistry
    from crossaisle.serve.workers.shared_state import SharedState


def decide_keyless(settings: Settings, limits: StoreLimits = StoreLimits()) -> Settings:
    """Settings that say whether requests need a key; `ConfigError` where others could come in without one."""
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.tenants import read_shops

    places = [settings.place]
    if settings.shops is not None:
        places = [shop.place for shop in read_shops(settings.shops).values()]
    with ExitStack() as stack:
        stores: list[Store | None] = []
        for place in places:
            try:
                stores.append(stack.enter_context(closing(Store(place, limits=limits))))
            except StoreError:  # reported by the process that serves it
                stores.append(None)
        return replace(settings, keyless=access.keyless(settings.host, settings.behind_proxy, stores))


def open_shops(
    settings: Settings,
    shared_state: SharedState | None = None,
    worker: int | None = None,
    run: str = "",
    *,
    limits: ServingLimits | None = None,
) -> ShopRegistry:
    """The shops, warm. `shared_state`, `worker`, `run`: where several processes serve them."""
    from crossaisle.serve.limits.serving import ServingLimits
    from crossaisle.serve.live.warmup import warm
    from crossaisle.serve.service import ShopService
    from crossaisle.serve.tenants import ShopRegistry, read_shops

    settings.check()
    limits = limits or ServingLimits()
    if settings.shops is not None:
        shops = read_shops(settings.shops)
        return ShopRegistry.open(shops, shared_state=shared_state, worker=worker, run=run, limits=limits)
    slot = None if shared_state is None else shared_state.slot("", worker or 0)
    service = ShopService.open(
        str(settings.model),
        settings.place,
        settings.models,
        image_hosts=settings.image_hosts,
        slot=slot,
        run=run,
        limits=limits,
    )
    try:
        warm(service.shop)
    except BaseException:
        service.close()
        raise
    return ShopRegistry.alone(service, shared_state=shared_state, worker=worker)


def application(settings: Settings, shops: ShopRegistry, *, limits: ServingLimits | None = None) -> FastAPI:
    """The application, in a process made ready for it; `ConfigError` where others could come in keyless."""
    from crossaisle.serve.api.app import create_app
    from crossaisle.serve.limits.serving import ServingLimits

    with ExitStack() as undo:
        undo.callback(shops.close)
        keyless = settings.keyless
        if keyless is None:
            with shops.stores() as stores:
                keyless = access.keyless(settings.host, settings.behind_proxy, stores)
        # The thread that scores must not keep the event loop waiting for 5 ms, Python's default.
        sys.setswitchinterval(0.001)
        # The catalogue lives as long as the process: the collector need not walk through it again and again.
        gc.collect()
        gc.freeze()
        app = create_app(
            shops,
            rate=settings.rate,
            largest_body=settings.largest_body,
            keyless=keyless,
            proxies=settings.behind_proxy,
            origins=settings.origins,
            limits=(limits or ServingLimits()).api,
        )
        if settings.traces:
            trace(app)
        undo.pop_all()
    return app
