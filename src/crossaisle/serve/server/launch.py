"""`serve`: a saved model, a store and a port."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crossaisle.errors import MissingDependencyError
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.server.bootstrap import application, open_shops
from crossaisle.serve.server.listening import bound
from crossaisle.serve.server.logs import LogFormat, set_up
from crossaisle.serve.server.settings import Settings

if TYPE_CHECKING:
    from crossaisle.serve.limits.serving import ServingLimits


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
    origins: Sequence[str] = (),
    log_format: LogFormat = "text",
    traces: bool = False,
    limits: ServingLimits | None = None,
) -> None:
    """Serves until it is told to stop. `store` is by default the model's name with `.sqlite` added.

    `models`: a folder of saved models between which the service may be switched. `shops`: a TOML file that
    names several shops, instead of a model. `workers`: processes that answer. `image_hosts`: where pictures
    of new items may be fetched from. `behind_proxy`: addresses and networks of the proxies in front.
    `origins`: of the shop's pages, which may ask with publishable keys. `log_format`: `json` for an object a
    line. `traces`: whether requests are traced (OpenTelemetry). `limits`: other sizes and timeouts
    than the defaults. Raises `ConfigError` for an address that others can
    reach, or with proxies, while a store has no API key.
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
        origins=tuple(origins),
        log_format=log_format,
        traces=traces,
    )
    logs = set_up(settings.log_format)
    if workers > 1:
        from crossaisle.serve.server.supervisor import supervise

        supervise(settings, workers, limits=limits)
        return
    from crossaisle.serve.server.protocol import config
    from crossaisle.serve.server.shutdown import EndingServer

    server = ServerLimits() if limits is None else limits.server
    settings.check()
    with bound(host, port) as listening:
        gc.disable()  # nearly everything that a start makes stays
        try:
            app = application(settings, open_shops(settings, limits=limits), limits=limits)
        finally:
            gc.enable()
        chosen = config(app, limits=server, host=host, port=port, log_level="info", **logs)
        try:
            EndingServer(chosen, last_seconds=server.last_seconds).run(sockets=[listening])
        except KeyboardInterrupt:  # the server has closed everything and only passes the signal on
            return


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def needs_extra() -> None:
    """`MissingDependencyError` unless the extra is installed."""
    for library in ("fastapi", "uvicorn", "orjson"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "serve", "the service")
