"""`serve`: a saved model, a store and a port."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crossaisle.errors import ConfigError, MissingDependencyError, StoreError
from crossaisle.serve.api import access

if TYPE_CHECKING:
    from fastapi import FastAPI

    from crossaisle.serve.tenants import ShopRegistry
    from crossaisle.serve.workers.shared_state import SharedState


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `serve` was told, JSON-ready."""

    model: str | None
    shops: str | None
    store: str | None
    models: str | None
    host: str
    port: int
    rate: float | None
    largest_body: int
    image_hosts: Sequence[str] = ()
    behind_proxy: Sequence[str] = ()
    keyless: bool | None = None
    """Whether requests need no key: decided once, by who starts first; None before."""

    @property
    def place(self) -> str:
        """Where the store of the one shop is."""
        return self.store or f"{Path(str(self.model))}.sqlite"

    def check(self) -> None:
        """`ConfigError` for what contradicts itself."""
        if (self.model is None) == (self.shops is None):
            raise ConfigError("give either MODEL or --shops FILE")
        if self.shops is not None and (self.store or self.models or self.image_hosts):
            raise ConfigError(
                f"with --shops, stores, folders of models and image hosts are named in {self.shops}"
            )
        access.Proxies(self.behind_proxy)


def serve(
    model: str | Path | None,
    *,
    shops: str | Path | None = None,
    store: str | Path | None = None,
    models: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    rate: float | None = None,
    largest_body: int = 16_000_000,
    workers: int = 1,
    image_hosts: Sequence[str] = (),
    behind_proxy: Sequence[str] = (),
) -> None:
    """Serves until it is told to stop. `store` is by default the model's name with `.sqlite` added.

    `models`: a folder of saved models between which the service may be switched. `shops`: a TOML file that
    names several shops, in place of a model. `workers`: processes that answer. `image_hosts`: where
    pictures of new items may be fetched from. `behind_proxy`: addresses and networks of the proxies in
    front. Raises `ConfigError` for an address that others can reach, or with proxies, while a store has no
    API key.
    """
    needs_extra()
    settings = Settings(
        model=_text(model),
        shops=_text(shops),
        store=_text(store),
        models=_text(models),
        host=host,
        port=port,
        rate=rate,
        largest_body=largest_body,
        image_hosts=tuple(image_hosts),
        behind_proxy=tuple(behind_proxy),
    )
    if workers > 1:
        from crossaisle.serve.server.supervisor import supervise

        supervise(settings, workers)
        return
    from crossaisle.serve.server.protocol import config
    from crossaisle.serve.server.shutdown import EndingServer

    app = application(settings, open_shops(settings))
    try:
        EndingServer(config(app, host=host, port=port, log_level="info")).run()
    except KeyboardInterrupt:  # the server has closed everything and only passes the signal on
        return


def application(settings: Settings, opened: ShopRegistry) -> FastAPI:
    """The application and a process made ready for it; `ConfigError` where others could come in."""
    from crossaisle.serve.api.app import create_app

    keyless = settings.keyless
    if keyless is None:
        try:
            with opened.stores() as stores:
                keyless = access.keyless(settings.host, settings.behind_proxy, stores)
        except ConfigError:
            opened.close()
            raise
    # The thread that scores must not keep the event loop waiting for 5 ms, Python's default.
    sys.setswitchinterval(0.001)
    # The catalogue lives as long as the process: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    return create_app(
        opened,
        rate=settings.rate,
        largest_body=settings.largest_body,
        keyless=keyless,
        proxies=settings.behind_proxy,
    )


def decided(settings: Settings) -> Settings:
    """Settings that say whether requests need a key; `ConfigError` where others could come in."""
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.tenants import read_shops

    places = [settings.place]
    if settings.shops is not None:
        places = [shop.place for shop in read_shops(settings.shops).values()]
    with ExitStack() as stack:
        stores: list[Store | None] = []
        for place in places:
            try:
                stores.append(stack.enter_context(closing(Store(place))))
            except StoreError:  # said by who serves it
                stores.append(None)
        return replace(settings, keyless=access.keyless(settings.host, settings.behind_proxy, stores))


def open_shops(
    settings: Settings, board: SharedState | None = None, worker: int | None = None, run: str = ""
) -> ShopRegistry:
    """The shops, warm. `board`, `worker`, `run`: where several processes serve them."""
    from crossaisle.serve.live.warmup import warm
    from crossaisle.serve.service import ShopService
    from crossaisle.serve.tenants import ShopRegistry, read_shops

    settings.check()
    if settings.shops is not None:
        return ShopRegistry.open(read_shops(settings.shops), board=board, worker=worker, run=run)
    slot = None if board is None else board.slot("", worker or 0)
    service = ShopService.open(
        str(settings.model),
        settings.place,
        settings.models,
        image_hosts=settings.image_hosts,
        slot=slot,
        run=run,
    )
    try:
        warm(service.shop)
    except BaseException:
        service.close()
        raise
    return ShopRegistry.alone(service, board=board, worker=worker)


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def needs_extra() -> None:
    """`MissingDependencyError` unless the extra is installed."""
    for library in ("fastapi", "uvicorn", "orjson"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "serve", "the service")
