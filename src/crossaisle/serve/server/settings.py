"""`Settings`: the options of `serve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossaisle.errors import ConfigError
from crossaisle.serve.api import access
from crossaisle.serve.api.origins import origins_of
from crossaisle.serve.server.logs import LogFormat
from crossaisle.serve.server.traces import needs_otel


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `serve` was told, JSON-ready: workers get it as one line."""

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
    origins: Sequence[str] = ()
    log_format: LogFormat = "text"
    traces: bool = False
    """Whether requests are traced."""
    keyless: bool | None = None
    """Whether requests need no key: decided once, by the process that starts first; None before."""

    @property
    def place(self) -> str:
        """Where the store of the one shop is."""
        return self.store or f"{Path(str(self.model))}.sqlite"

    def check(self) -> None:
        """`ConfigError` for settings that contradict each other."""
        if (self.model is None) == (self.shops is None):
            raise ConfigError("give either MODEL or --shops FILE")
        if self.shops is not None and (self.store or self.models or self.image_hosts or self.origins):
            raise ConfigError(
                f"with --shops, stores, folders of models, image hosts and origins are named in {self.shops}"
            )
        if self.model is not None and "://" in self.model and self.store is None:
            raise ConfigError("a model in a bucket has no store beside it: name one with --store")
        access.Proxies(self.behind_proxy)
        origins_of(self.origins)
        if self.log_format not in ("text", "json"):
            raise ConfigError(f"log format must be text or json (found {self.log_format!r})")
        if self.traces:
            needs_otel()
