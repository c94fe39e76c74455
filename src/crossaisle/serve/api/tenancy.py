"""`TenantGate`: which shop a request is for, and what each shop's entrance has: keys, rates, metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from crossaisle.errors import StoreError
from crossaisle.serve.api.limits import ApiLimits
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import Key, Keys
from crossaisle.serve.tenants import ShopRegistry

_LOG = logging.getLogger(__name__)
HEADER = b"x-shop"
CLIENTS = 10_000
"""Clients whose rate is followed; the ones not seen for longest are forgotten."""


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


class Tenant:
    """The entrance of one shop, or, without a service, of what belongs to none: the page, health."""

    def __init__(self, service: ShopService | None, rate: float | None) -> None:
        """`rate`: requests per second and client. `StoreError` where the keys cannot be read."""
        self.service, self.rate = service, rate
        self.metrics = Metrics() if service is None else service.metrics
        self.keys = None if service is None else Keys(service.store, service.readers)
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """A bucket of two seconds' worth of requests per client."""
        rate = self.rate
        if not rate:
            return
        now = time.monotonic()
        left, at = self._tokens.pop(client, (2 * rate, now))
        left = min(2 * rate, left + (now - at) * rate) - 1.0
        self._tokens[client] = max(left, 0.0), now
        if len(self._tokens) > CLIENTS:
            self._tokens.popitem(last=False)
        if left < 0:
            raise Refused(429, f"more than {rate:g} requests per second", {"Retry-After": "1"})


class TenantGate:
    """The doors of all shops."""

    def __init__(
        self,
        shops: ShopRegistry,
        *,
        keyless: bool,
        rate: float | None = None,
        limits: ApiLimits = ApiLimits(),
    ) -> None:
        """`keyless`: whether requests need no key as yet. `rate`: for shops that have none of their own."""
        self.shops, self._rate, self._limits = shops, rate, limits
        self._nowhere = Tenant(None, rate or max(shops.rates.values(), default=None))
        self.unnamed = self._nowhere.metrics
        """Of requests that name no shop."""
        self._doors: dict[bytes, Tenant] = {}
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
        self._only = next(iter(self._doors.values()), None) if single else None
        self._keyless = keyless

    def _add(self, name: str, service: ShopService) -> None:
        self._doors[name.encode()] = Tenant(service, self.shops.rates.get(name, self._rate))

    @property
    def keyless(self) -> bool:
        """Whether requests need no key. That ends with the first key that is seen, until the next start."""
        if self._keyless and (self._board_locked() or any(keys.made for keys in self._keys())):
            self._keyless = False
            if self.shops.shared_state is not None:
                self.shops.shared_state.lock(self.shops.worker or 0)
            _LOG.warning("an API key was made: from now on requests need one")
        return self._keyless

    def _board_locked(self) -> bool:
        return self.shops.shared_state is not None and self.shops.shared_state.locked

    def _keys(self) -> Iterator[Keys]:
        return (door.keys for door in self._doors.values() if door.keys is not None)

    def of(self, headers: Mapping[bytes, bytes], path: str, private: bool) -> tuple[Tenant, Refused | None]:
        """The door of the shop that a request names, and why it is none; no key was looked at yet."""
        name = headers.get(HEADER)
        if name is None:
            if self._only is not None:
                return self._only, None
            needed = "several shops are served here: name yours in the header X-Shop"
            return self._nowhere, Refused(400, needed, {"X-Shop-Needed": "1"}) if private else None
        door = self._doors.get(name) if self.shops.named else None
        if door is not None:
            return door, None
        if not private and not path.startswith("/api/"):
            return self._only or self._nowhere, None
        shown = name.decode("latin-1")[:64]
        if not self.shops.named:
            rule = "one shop is served here, leave the header X-Shop out"
            return self._nowhere, Refused(404, f"no shop {shown!r}: {rule}")
        if (broken := self.broken(name)) is not None:
            return self._nowhere, broken
        rule = "is served here: check the header X-Shop"
        return self._nowhere, Refused(404, f"no shop {shown!r} {rule}", {"X-Shop-Needed": "1"})

    def broken(self, name: bytes) -> Refused | None:
        """What who shows a key that is not known is told about a shop, where one or another is broken.

        The keys of that one cannot be read. To who shows no key of it, it is like one that is served and like
        one that does not exist, or else those could be told apart as long as it is broken.
        """
        shown = name.decode("latin-1")[:64]
        if shown in self.shops.broken or (self.shops.broken and not self.keyless):
            rule = f"shop {shown!r} is not served at the moment, or this is no key of it"
            return Refused(503, rule, {"Retry-After": "30"})
        return None

    def count(self, door: Tenant, key: Key | None, address: str) -> None:
        """A request, for its key, or else for where it comes from; no rate tells which shops there are."""
        if key is not None:
            door.count(f"key {key.name}")
        elif self.shops.named and not self.keyless:
            self._nowhere.count(address)
        else:
            door.count(address)

    def any_keys(self) -> bool:
        """Whether any shop has a key in use."""
        return any(keys.any() for keys in self._keys())

    async def fresh(self, door: Tenant) -> None:
        """Keys read again where they are old; those of all shops while nobody needs one, or nobody has one.

        Else the first key would be noticed by who names its shop, and would tell that there is such a shop.
        """
        if door.keys is not None:
            await door.keys.fresh()
        if self.keyless or not self.any_keys():
            for keys in list(self._keys()):
                await keys.fresh()

    async def mend(self) -> None:
        """Tries shops again that could not be opened; a folder or a database may be mended meanwhile."""
        loop = asyncio.get_running_loop()
        while self.shops.broken:
            await asyncio.sleep(self._limits.reopen_seconds)
            for name in list(self.shops.broken):
                service = await loop.run_in_executor(None, self.shops.try_open, name)
                if service is None:
                    continue
                try:
                    self._add(name, service)
                except StoreError as error:
                    self.shops.broken[name] = str(error)
                    service.close()
                    continue
                await service.start()
                self.shops.services[name] = service
                _LOG.warning("shop %s is served again", name)
