"""`serve`: a saved model, a store and a port."""

from __future__ import annotations

import gc
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.serve.guard import LOOPBACK

if TYPE_CHECKING:
    from crossaisle.serve.shops import Shops


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
) -> None:
    """Serves until it is told to stop. `store` is by default the model's name with `.sqlite` added.

    `models`: a folder of saved models between which the service may be switched. `shops`: a TOML file that
    names several shops, in place of a model. Raises `ConfigError` for an address that others can reach while
    a store has no API key.
    """
    needs_extra()
    import uvicorn

    from crossaisle.serve.app import create_app
    from crossaisle.serve.connections import config
    from crossaisle.serve.keys import Keys

    opened = _open(model, shops, store, models)
    for service in opened.services.values():
        if host not in LOOPBACK and not Keys(service.store).any():
            opened.close()
            raise ConfigError(
                f"{host} can be reached by others and the store has no API key: make one with  "
                f"crossaisle keys add {service.store.name} NAME  or serve on 127.0.0.1"
            )
    # The thread that scores must not keep the event loop waiting for 5 ms, Python's default.
    sys.setswitchinterval(0.001)
    # The catalogue lives as long as the process: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    app = create_app(opened, rate=rate, largest_body=largest_body)
    try:
        uvicorn.Server(config(app, host=host, port=port, log_level="info")).run()
    except KeyboardInterrupt:  # the server has closed everything and only passes the signal on
        return


def _open(
    model: str | Path | None,
    shops: str | Path | None,
    store: str | Path | None,
    models: str | Path | None,
) -> Shops:
    from crossaisle.serve.service import Service
    from crossaisle.serve.shops import Shops, read_shops
    from crossaisle.serve.warming import warm

    if (model is None) == (shops is None):
        raise ConfigError("give either MODEL or --shops FILE")
    if shops is not None:
        if store is not None or models is not None:
            raise ConfigError(f"with --shops, stores and folders of models are named in {shops}")
        return Shops.open(read_shops(shops))
    service = Service.open(str(model), store or f"{Path(str(model))}.sqlite", models)
    try:
        warm(service.shop)
    except BaseException:
        service.close()
        raise
    return Shops.alone(service)


def needs_extra() -> None:
    """`MissingDependencyError` unless the extra is installed."""
    for library in ("fastapi", "uvicorn", "orjson"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "serve", "the service")
