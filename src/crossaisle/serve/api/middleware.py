"""`Guard`: what every request passes: keys, limits, security headers, and the clock behind the metrics."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import cast

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.access import LOOPBACK, Proxies, address_of
from crossaisle.serve.api.limits import ApiLimits
from crossaisle.serve.api.problems import body_of
from crossaisle.serve.api.tenancy import HEADER, Refused, Tenant, TenantGate
from crossaisle.serve.store.api_keys import Key

OPEN = ("/api/health/", "/openapi.json", "/docs")
"""Answered without a key. The page is, too: it holds no data."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", POLICY.encode()),
]
SLOWEST = 10_000
"""Bytes of a body that earn another second of waiting."""
MOST_BODIES = 256_000_000
"""Bytes of the bodies of all requests under way; what goes beyond is told to come back."""
EACH_BODIES = 64_000_000
"""Of these, so many may be of one key (or address, where there is no key): others get their turn."""
ADMIN = ("/metrics", "/api/models", "/api/console", "/api/audit", "/api/experiments")
GONE = 499
"""Counted for a client that went away before its request was whole; nobody is answered."""
PROXIED = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
"""Headers that only proxies set; those that begin with `x-forwarded` as well."""
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class Guard:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        doors: TenantGate,
        largest_body: int,
        hosts: frozenset[str] = LOOPBACK,
        proxies: Proxies | None = None,
        limits: ApiLimits = ApiLimits(),
    ) -> None:
        """`hosts`: names to answer to while requests need no key. `proxies`: none by default."""
        self.app, self.doors, self.largest, self.hosts = app, doors, largest_body, hosts
        self.proxies = proxies or Proxies(())
        self._limits = limits
        self._held, self._of = 0, Counter[Hashable]()
        worker = doors.shops.worker
        self.headers = HEADERS if worker is None else [*HEADERS, (b"x-worker", str(worker).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, sent, read = time.perf_counter(), 500, False, 0
        patience, whole, gone, stopped = self._limits.body_seconds, False, False, cast(Refused | None, None)
        headers = dict(scope["headers"])
        scope["service"] = scope["key"] = None
        metrics = self.doors.unnamed
        who: Hashable = None

        async def limited() -> Message:
            nonlocal read, patience, whole, gone, stopped
            before = time.monotonic()
            try:
                async with asyncio.timeout(patience):
                    message = await receive()
            except TimeoutError:
                slow = f"the body came too slowly: at least {SLOWEST:,} bytes a second"
                stopped = Refused(408, slow, {"Connection": "close"})
                raise stopped from None
            size = len(message.get("body", b""))
            patience = min(patience - (time.monotonic() - before) + size / SLOWEST, self._limits.body_seconds)
            read += size
            self._held += size
            self._of[who] += size
            if read > self.largest:
                rule = f"the body must not exceed {self.largest:,} bytes"
                stopped = Refused(413, rule, {"Connection": "close"})
                raise stopped
            if self._of[who] > EACH_BODIES:
                yours = f"more than {EACH_BODIES:,} bytes of yours are under way: wait for an answer"
                stopped = Refused(429, yours, {"Connection": "close", "Retry-After": "1"})
                raise stopped
            if self._held > MOST_BODIES:
                many = "too many large bodies at once: try again in a moment"
                stopped = Refused(503, many, {"Connection": "close", "Retry-After": "1"})
                raise stopped
            gone = message["type"] == "http.disconnect" and not whole
            whole = not message.get("more_body", False)
            return message

        async def observed(message: Message) -> None:
            nonlocal status, sent
            if stopped is not None and not sent:
                return  # whatever a route made of it
            if message["type"] == "http.response.start":
                status, sent = message["status"], True
                message["headers"] = [*message.get("headers", []), *self.headers]
                if scope["path"].startswith("/api/"):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        try:
            path = scope["path"]
            private = (path.startswith("/api/") or path == "/metrics") and not path.startswith(OPEN)
            door, missing = self.doors.of(headers, path, private)
            metrics = door.metrics
            await self.doors.fresh(door)
            self._check(scope, headers, door, missing, private)
            scope["service"] = door.service
            who = door, scope["key"] or (scope.get("client") or ("",))[0]
            # What other workers acknowledged counts from here on.
            if door.service is not None and private:
                await door.service.asked()
            await self.app(scope, limited, observed)
            if stopped is not None:
                raise stopped
        except Refused as refused:
            stopped, status = None, refused.status
            if not sent:
                await _refuse(observed, refused)
        except ClientDisconnect:  # nobody is there to be told
            gone = True
        except asyncio.CancelledError:  # the service ends, and was patient
            stopped, status = None, 503
            if not sent:
                await _refuse(observed, Refused(503, "the service ends: ask again", {"Retry-After": "1"}))
        finally:
            self._held -= read
            self._of[who] -= read
            if not self._of[who]:
                del self._of[who]
            route = getattr(scope.get("route"), "path", "other")
            metrics.observe(route, GONE if gone else status, time.perf_counter() - start)

    def _check(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        door: Tenant,
        missing: Refused | None,
        private: bool,
    ) -> None:
        """Raises `Refused`; what is let in has its key in `scope`, and whether it may see inner names."""
        given = headers.get(b"authorization", b"").decode("latin-1")
        token = given[7:] if given.lower().startswith("bearer ") else ""
        token = token or headers.get(b"x-api-key", b"").decode("latin-1")
        key = door.keys.find(token) if token and door.keys is not None else None
        # Before anything else, so that who has no key cannot ask without end.
        self.doors.count(door, key, self.proxies.client(scope, headers))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > self.largest:
            raise Refused(413, f"the body must not exceed {self.largest:,} bytes")
        keyless = self.doors.keyless
        if keyless:
            _check_local(scope, headers, self.hosts)
        # Health of a shop that is named: only who has its key learns that there is such a shop.
        named = self.doors.shops.named and HEADER in headers and scope["path"].startswith("/api/health/")
        if private or named:
            self._need(key, token, headers.get(HEADER), keyless=keyless, missing=missing)
        if missing is not None:
            raise missing
        scope["key"] = key
        scope["insider"] = keyless or (key is not None and not key.scopes.isdisjoint(("read", "admin")))
        if key is not None and private:
            needed = _scope_of(scope["path"], scope["method"])
            if needed not in key.scopes and "admin" not in key.scopes:
                raise Refused(403, f"this key lacks the scope {needed!r}")

    def _need(
        self, key: Key | None, token: str, name: bytes | None, *, keyless: bool, missing: Refused | None
    ) -> None:
        """Refuses who shows no key where one is needed, and who shows a wrong one where none is."""
        if key is not None or (keyless and not token):
            return
        if missing is None and token and name is not None:
            missing = self.doors.broken(name)
        if missing is not None and (keyless or missing.status == 400 or (token and missing.status == 503)):
            raise missing
        if not keyless and not self.doors.any_keys():
            rule = "no API key is in use, so nobody is let in: make one with  crossaisle keys add STORE NAME"
            raise Refused(403, rule)
        rule = "an API key is needed: Authorization: Bearer KEY"
        raise Refused(401, rule, {"WWW-Authenticate": "Bearer"})


def _check_local(scope: Scope, headers: Mapping[bytes, bytes], hosts: frozenset[str]) -> None:
    """Refuses what comes from elsewhere: another machine, through a proxy, from a web page.

    A page elsewhere reaches this machine through the browser of whoever opens it.
    """
    client = scope.get("client")
    address = None if client is None else address_of(client[0])
    if address is None or not address.is_loopback:
        raise Refused(403, "without API keys the service answers this machine only: make a key for others")
    names, sign = 0, "HTTP/1.0" if scope.get("http_version") == "1.0" else ""  # nginx as it comes
    for name, _ in scope["headers"]:
        names += name == b"host"
        if name in PROXIED or name.startswith(b"x-forwarded"):
            sign = name.decode("latin-1")[:64]
    if sign:
        raise Refused(
            403,
            f"without API keys the service answers nobody through a proxy ({sign}): make a key with  "
            "crossaisle keys add STORE NAME  and start it with --behind-proxy ADDRESS",
        )
    host = headers.get(b"host", b"localhost").lower()
    parts = _HOST.fullmatch(host)
    if parts is None or names > 1 or parts[1].decode() not in hosts:
        raise Refused(403, "without API keys the service answers to loopback names only")
    origin = headers.get(b"origin")
    own = origin is None or origin.lower() in (b"http://" + host, b"https://" + host)
    if own and headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin"):
        return
    # A link elsewhere may lead to the page, which does nothing by itself.
    followed = scope["path"] == "/" and headers.get(b"sec-fetch-mode") == b"navigate"
    if not (own and followed and scope["method"] in ("GET", "HEAD")):
        raise Refused(403, "requests from other web pages are refused")


def _scope_of(path: str, method: str) -> str:
    if path.startswith(ADMIN):
        return "admin"
    reading = method in ("GET", "HEAD") or path == "/api/recommend"
    return "read" if reading and not path.startswith("/api/users") else "write"


async def _refuse(send: Send, refused: Refused) -> None:
    body = body_of(refused.status, refused.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
