"""Several shops in one process: a TOML file names them, and a request names one in the header `X-Shop`.

Every shop is a `ShopService` of its own: model, store, keys, rates, metrics, experiments, threads. They
share the process, the port, and text encoders with the same weights (`crossaisle.encoders.cache.pretrained`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from crossaisle.decode import build, read_toml
from crossaisle.errors import ConfigError, CrossaisleError, StoreError, cleaned, nearest, shown

if TYPE_CHECKING:
    from crossaisle.serve.limits.serving import ServingLimits
    from crossaisle.serve.service import ShopService
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.workers.shared_state import SharedState

_LOG = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ShopConfig:
    """`[NAME]`"""

    model: Path
    """Folder of the saved model that is served first."""
    store: str | None = None
    """A SQLite file (by default MODEL.sqlite) or postgresql://..."""
    models: Path | None = None
    """Folder of saved models to switch between."""
    rate: float | None = field(default=None, metadata={"low": 0.001})
    """Most requests per second and client."""
    image_hosts: tuple[str, ...] = ()
    """Hosts (or HOST:PORT) of the shop's pictures: those of new items are fetched from there, and the page
    shows them; none unless named."""

    origins: tuple[str, ...] = ()
    """Origins of the shop's pages, which may use keys of scope visitor."""

    @property
    def place(self) -> str:
        """Where the store is."""
        return self.store or f"{self.model}.sqlite"


def read_shops(path: str | Path) -> dict[str, ShopConfig]:
    """The shops of a TOML file, one table each; paths are relative to its folder.

    Raises `ConfigError`, also where one shop could reach what belongs to another.
    """
    path = Path(path)
    values = read_toml(path)
    shops = {}
    for name, table in values.items():
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: shop {name!r}: a name is 1 to 64 letters, digits, dots, dashes and underscores"
            )
        if isinstance(table, Mapping) and "model" not in table:
            raise ConfigError(f"{path}, [{name}]: model is missing: the folder of a saved model")
        config = build(ShopConfig, table, f"{path}, [{name}]", base=path.parent)
        if config.store is not None and "://" not in config.store:
            store = str(path.parent / Path(config.store).expanduser())
            config = replace(config, store=store)
        shops[name] = config
    if not shops:
        raise ConfigError(f"{path}: names no shop: write a table for each, such as [north] with model = ...")
    _check_apart(shops, path)
    return shops


def place_of(store: str) -> str:
    """The store that a command is given: a file, a URL, or `shops.toml#NAME`; `ConfigError`."""
    file, hash_, name = store.rpartition("#")
    if "://" in store or not (file if hash_ else store).endswith(".toml"):
        return store
    shops = read_shops(file if hash_ else store)
    if not hash_ or name not in shops:
        known = ", ".join(shops)
        hint = nearest(name, shops) if hash_ else ""
        raise ConfigError(
            f"{shown(store)}: name one of its shops{hint}, such as {file or store}#{next(iter(shops))} "
            f"(there are {known})"
        )
    return shops[name].place


def _check_apart(shops: Mapping[str, ShopConfig], path: Path) -> None:
    for (one, a), (other, b) in permutations(shops.items(), 2):
        where = f"{path}: shops {one!r} and {other!r}"
        if _same_store(a.place, b.place):
            raise ConfigError(f"{where} have the same store ({shown(a.place)}): give each a store of its own")
        if a.models is None:
            continue
        folder = a.models.resolve()
        if b.models is not None and b.models.resolve() == folder:
            raise ConfigError(f"{where} have the same folder of models: one could serve the other's users")
        if b.model.resolve().parent == folder and a.model.resolve() != b.model.resolve():
            raise ConfigError(f"{where}: the model of {other!r} lies in the folder of models of {one!r}")


def _same_store(one: str, other: str) -> bool:
    """Whether two places are one store, as far as can be told here; the store's lock has the last word."""
    if ("://" in one) != ("://" in other):
        return False
    if "://" in one:
        return _database(one) == _database(other)
    a, b = Path(one), Path(other)
    with suppress(OSError):  # also by two names of one file
        return a.samefile(b)
    return a.resolve() == b.resolve()


def _database(url: str) -> tuple[str, ...]:
    """Server, database and schema, the same for all usual ways to write them."""
    try:
        parts = urlsplit(url)
        written = str(parts.port or 5432)
    except ValueError:  # several hosts, or no address at all: opening it reports that
        return (url,)
    query = dict(parse_qsl(parts.query))
    user = query.get("user") or unquote(parts.username or "")
    host = unquote(query.get("hostaddr") or query.get("host") or parts.hostname or "localhost").lower()
    port = query.get("port") or written
    name = query.get("dbname") or unquote(parts.path.strip("/")) or user
    return "localhost" if _is_loopback(host) else host, port, name, query.get("schema", "public")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") in ("localhost", "ip6-localhost")


class ShopRegistry:
    """The shops of one process, by name. Those that could not be opened are tried again later."""

    def __init__(
        self,
        services: Mapping[str, ShopService],
        configs: Mapping[str, ShopConfig] | None = None,
        *,
        shared_state: SharedState | None = None,
        worker: int | None = None,
        run: str = "",
        limits: ServingLimits | None = None,
    ) -> None:
        """`configs`: None for the only shop of a service, which needs no name."""
        self.services = dict(services)
        self.configs = dict(configs or {})
        self.named = configs is not None
        self.worker = worker
        """The number of this process, where there are several."""
        self.shared_state = shared_state
        """What the processes share."""
        self._run, self._limits = run, limits
        self.broken: dict[str, str] = {}
        """Shops that are not served, and why; for the log, not for clients."""
        self.rates = {name: c.rate for name, c in self.configs.items() if c.rate is not None}

    @classmethod
    def alone(
        cls, service: ShopService, *, shared_state: SharedState | None = None, worker: int | None = None
    ) -> ShopRegistry:
        """One shop without a name."""
        return cls({"": service}, shared_state=shared_state, worker=worker)

    @classmethod
    def open(
        cls,
        configs: Mapping[str, ShopConfig],
        *,
        shared_state: SharedState | None = None,
        worker: int | None = None,
        run: str = "",
        limits: ServingLimits | None = None,
    ) -> ShopRegistry:
        """Opens every shop that can be opened; `ConfigError` if none can.

        `shared_state`, `worker`, `run`: where several processes serve them.
        """
        shops = cls({}, configs, shared_state=shared_state, worker=worker, run=run, limits=limits)
        for name in configs:
            if (service := shops.try_open(name)) is not None:
                shops.services[name] = service
        if not shops.services:
            raise ConfigError(
                "no shop can be served: " + "; ".join(f"{n}: {w}" for n, w in shops.broken.items())
            )
        return shops

    def try_open(self, name: str) -> ShopService | None:
        """A shop, warm; None if it cannot be opened, which `broken` records. Slow: not in the event loop."""
        from crossaisle.serve.limits.serving import ServingLimits
        from crossaisle.serve.live.warmup import warm
        from crossaisle.serve.service import ShopService

        config, service = self.configs[name], None
        try:
            slot = None if self.shared_state is None else self.shared_state.slot(name, self.worker or 0)
            service = ShopService.open(
                config.model,
                config.place,
                config.models,
                name=name,
                image_hosts=config.image_hosts,
                slot=slot,
                run=self._run,
                limits=self._limits or ServingLimits(),
            )
            warm(service.shop)
        # Whatever is wrong with one shop, the others are served.
        except Exception as error:
            if service is not None:
                service.close()
            reason = cleaned(error, config.place)
            if self.broken.get(name) != reason:
                _LOG.error("shop %s is not served: %s", name, reason, exc_info=not _expected(error))
            self.broken[name] = reason
            return None
        self.broken.pop(name, None)
        return service

    @property
    def names(self) -> list[str]:
        """Of all shops, served or not."""
        return list(self.configs or self.services)

    @property
    def image_hosts(self) -> tuple[str, ...]:
        """Whose pictures pages may show: those of all shops, served or not."""
        named = (host for config in self.configs.values() for host in config.image_hosts)
        return (*named, *(host for one in self.services.values() for host in one.image_hosts))

    @property
    def origins(self) -> dict[str, tuple[str, ...]]:
        """Of the pages of each shop that has a table of its own."""
        return {name: config.origins for name, config in self.configs.items()}

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request, in any shop and of any worker."""
        return min(service.idle_seconds for service in self.services.values())

    @contextmanager
    def stores(self) -> Iterator[list[Store | None]]:
        """The stores of all shops, also of those not served; None for one that cannot be opened."""
        from crossaisle.serve.limits.store import StoreLimits
        from crossaisle.serve.store.store import Store

        with ExitStack() as stack:
            stores: list[Store | None] = [service.store for service in self.services.values()]
            limits = StoreLimits() if self._limits is None else self._limits.store
            for name in self.broken:
                try:
                    store = Store(self.configs[name].place, limits=limits)
                    stores.append(stack.enter_context(closing(store)))
                except StoreError:
                    stores.append(None)
            yield stores

    def close(self) -> None:
        """Closes every shop."""
        for service in self.services.values():
            service.close()


def _expected(error: Exception) -> bool:
    return isinstance(error, CrossaisleError | OSError)
