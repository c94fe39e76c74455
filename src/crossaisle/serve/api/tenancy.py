"""`TenantGate`: which shop a request is for, and what each shop has of its own: keys, rate, metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from crossaisle.errors import StoreError
from crossaisle.serve.api.access import KEYED, RouteScope
from crossaisle.serve.api.origins import origins_of
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.api.rate_limit import RateLimit
from crossaisle.serve.limits.api import DEFAULT, ApiLimits
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import Key, Keys
from crossaisle.serve.tenants import ShopRegistry

_LOG = logging.getLogger(__name__)
HEADER = b"x-shop"


class Tenant:
    """One shop as requests see it; without a service, what belongs to no shop: the page, health."""

    def __init__(
        self,
        service: ShopService | None,
        rate_limit: RateLimit,
        visitor_limit: RateLimit,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        """`visitor_limit`: of one address with a publishable key, which counts for pages of `origins` only.

        `StoreError` where the keys cannot be read.
        """
        self.service, self.rate_limit = service, rate_limit
        self.visitor_limit, self.origins = visitor_limit, origins
        self.metrics = Metrics() if service is None else service.metrics
        self.keys = None if service is None else Keys(service.store, service.readers)


class TenantGate:
    """The tenants of one process."""

    def __init__(
        self,
        shops: ShopRegistry,
        *,
        keyless: bool,
        rate: float | None = None,
        origins: frozenset[str] = frozenset(),
        limits: ApiLimits = DEFAULT,
    ) -> None:
        """`keyless`: whether requests need no key yet. `rate`: requests per second and client, for shops that
        set none of their own. `origins`: of pages, the same.
        """
        self.shops, self._rate, self._origins, self._limits = shops, rate, origins, limits
        self._origins_of = {
            name: origins_of(given, f"[{name}] origins:") for name, given in shops.origins.items()
        }
        largest = rate or max(shops.rates.values(), default=None)
        self._nowhere = Tenant(None, self._rate_limit(largest), self._visitor_limit(largest))
        self.unnamed = self._nowhere.metrics
        """Of requests that name no shop."""
        self._tenants: dict[bytes, Tenant] = {}
        for name, service in list(shops.services.items()):
            try:
                self._add(name, service)
            except StoreError as error:
                if not shops.named:
                    raise
                _LOG.error("shop %s is not served: %s", name, error)
                shops.broken[name] = str(error)
                del shops.services[name]
                service.close()
        single = len(shops.names) == 1
        self._only = next(iter(self._tenants.values()), None) if single else None
        self._keyless = keyless

    def _add(self, name: str, service: ShopService) -> None:
        rate = self.shops.rates.get(name, self._rate)
        origins = self._origins_of.get(name, self._origins)
        tenant = Tenant(service, self._rate_limit(rate), self._visitor_limit(rate), origins)
        self._tenants[name.encode()] = tenant

    @property
    def origins(self) -> frozenset[str]:
        """Of the pages of all shops, served or not."""
        return self._origins.union(*self._origins_of.values())

    def _visitor_limit(self, rate: float | None) -> RateLimit:
        most = self._limits.visitor_rate
        return self._rate_limit(most if rate is None else min(rate, most))

    def _rate_limit(self, rate: float | None) -> RateLimit:
        return RateLimit(rate, clients=self._limits.rated_clients)

    @property
    def keyless(self) -> bool:
        """Whether requests need no key. The first key that is seen ends that until the next start."""
        if self._keyless and (self._locked_by_a_worker() or any(keys.made for keys in self._keys())):
            self._keyless = False
            if self.shops.shared_state is not None:
                self.shops.shared_state.lock(self.shops.worker or 0)
            _LOG.warning("an API key was made: from now on requests need one")
        return self._keyless

    def _locked_by_a_worker(self) -> bool:
        return self.shops.shared_state is not None and self.shops.shared_state.locked

    def _keys(self) -> Iterator[Keys]:
        return (tenant.keys for tenant in self._tenants.values() if tenant.keys is not None)

    def find(self, name: bytes | None, needs: RouteScope) -> tuple[Tenant, RefusedError | None]:
        """The tenant for a request, and why it is none of the shops. No key was checked yet.

        `name`: the header `X-Shop`. `needs`: the scope of the route.
        """
        if name is None:
            if self._only is not None:
                return self._only, None
            rule = "several shops are served here: name yours in the header X-Shop"
            refusal = RefusedError(400, rule, {"X-Shop-Needed": "1"})
            return self._nowhere, refusal if needs in KEYED else None
        tenant = self._tenants.get(name) if self.shops.named else None
        if tenant is not None:
            return tenant, None
        if needs == "public":
            return self._only or self._nowhere, None
        return self._nowhere, self._unknown(name)

    def _unknown(self, name: bytes) -> RefusedError:
        shown = name.decode("latin-1")[:64]
        if not self.shops.named:
            rule = "only one shop is served here: omit the header X-Shop"
            return RefusedError(404, f"no shop {shown!r}: {rule}")
        if (broken := self.broken(name)) is not None:
            return broken
        rule = "is served here: check the header X-Shop"
        return RefusedError(404, f"no shop {shown!r} {rule}", {"X-Shop-Needed": "1"})

    def broken(self, name: bytes) -> RefusedError | None:
        """What a caller with an unknown key is told about a shop while any shop is broken.

        The keys of a broken shop cannot be read. Without a key of it, it cannot be told from a shop that is
        served or from one that does not exist: all three are answered alike.
        """
        shown = name.decode("latin-1")[:64]
        if shown in self.shops.broken or (self.shops.broken and not self.keyless):
            rule = f"shop {shown!r} is not served at the moment, or the key is not one of its keys"
            return RefusedError(503, rule, {"Retry-After": "30"})
        return None

    def count(self, tenant: Tenant, key: Key | None, address: str) -> None:
        """Counts a request for its key, or else for its address; `RefusedError`.

        Without a key, named shops share one limit: their own would tell which shops there are.
        """
        if key is not None and key.publishable:
            tenant.visitor_limit.count(f"key {key.name}, {address}")  # many visitors have it
        elif key is not None:
            tenant.rate_limit.count(f"key {key.name}")
        elif self.shops.named and not self.keyless:
            self._nowhere.rate_limit.count(address)
        else:
            tenant.rate_limit.count(address)

    def any_keys(self) -> bool:
        """Whether any shop has an active key."""
        return any(keys.any() for keys in self._keys())

    async def key_of(self, tenant: Tenant, token: str) -> Key | None:
        """The tenant's key with this token; None for a token that is none of them.

        Keys are read again where they are old, those of all shops before a request without a valid key is
        answered: what it is told depends on whether any shop has a key in use. If only requests that name a
        shop noticed its first or last key, that would reveal the shop.
        """
        if tenant.keys is not None:
            await tenant.keys.fresh()
            if token and (key := tenant.keys.find(token)) is not None:
                return key
        if old := [keys for keys in self._keys() if keys.old]:
            await asyncio.gather(*(keys.fresh() for keys in old))
        return None

    async def reopen_failed(self) -> None:
        """Tries again to open shops that could not be opened; their folder or database may be back."""
        loop = asyncio.get_running_loop()
        while self.shops.broken:
            await asyncio.sleep(self._limits.reopen_seconds)
            for name in list(self.shops.broken):
                service = await loop.run_in_executor(None, self.shops.try_open, name)
                if service is not None:
                    await self._reopened(name, service)

    async def _reopened(self, name: str, service: ShopService) -> None:
        try:
            self._add(name, service)
        except StoreError as error:
            self.shops.broken[name] = str(error)
            service.close()
            return
        try:
            await service.start()
        except BaseException:  # also where everything ends meanwhile: nobody else knows of it
            service.close()
            raise
        self.shops.services[name] = service
        _LOG.warning("shop %s is served again", name)
