"""`serve`: a saved model, a store and a port."""

from __future__ import annotations

import gc
import importlib.util
import sys
from pathlib import Path

from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.serve.guard import LOOPBACK


def serve(
    model: str | Path,
    *,
    store: str | Path | None = None,
    models: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    rate: float | None = None,
    largest_body: int = 16_000_000,
) -> None:
    """Serves until it is told to stop. `store` is by default the model's name with `.sqlite` added.

    `models`: a folder of saved models between which the service may be switched. Raises `ConfigError`
    for an address that others can reach while the store has no API key.
    """
    needs_extra()
    import uvicorn

    from crossaisle.serve.app import create_app
    from crossaisle.serve.keys import Keys
    from crossaisle.serve.service import Service
    from crossaisle.serve.warming import warm

    service = Service.open(model, store or f"{Path(model)}.sqlite", models)
    if host not in LOOPBACK and not Keys(service.store).any():
        service.close()
        raise ConfigError(
            f"{host} can be reached by others and the store has no API key: make one with  "
            f"crossaisle keys add {service.store.name} NAME  or serve on 127.0.0.1"
        )
    warm(service.shop)
    # The thread that scores must not keep the event loop waiting for 5 ms, Python's default.
    sys.setswitchinterval(0.001)
    # The catalogue lives as long as the process: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    app = create_app(service, rate=rate, largest_body=largest_body)
    uvicorn.run(app, host=host, port=port, access_log=False, log_level="info", server_header=False)


def needs_extra() -> None:
    """`MissingDependencyError` unless the extra is installed."""
    for library in ("fastapi", "uvicorn", "orjson"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "serve", "the service")
