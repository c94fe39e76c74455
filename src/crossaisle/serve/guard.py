"""`Guard`: what every request passes: keys, limits, security headers, and the clock behind the metrics."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.keys import Key, Keys
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.problems import body_of

LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}
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
ADMIN = ("/metrics", "/api/models", "/api/console", "/api/audit", "/api/experiments")
CLIENTS = 10_000
"""Clients whose rate is followed; the ones not seen for longest are forgotten."""


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


class Guard:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        keys: Keys,
        largest_body: int,
        rate: float | None = None,
        hosts: frozenset[str] = frozenset(LOOPBACK),
    ) -> None:
        """`rate`: requests per second and client. `hosts`: names to answer to while there is no key."""
        self.app, self.metrics, self.keys = app, metrics, keys
        self.largest, self.rate, self.hosts = largest_body, rate, hosts
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, sent, read = time.perf_counter(), 500, False, 0
        headers = dict(scope["headers"])

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.largest:
                raise Refused(413, f"the body must not exceed {self.largest:,} bytes")
            return message

        async def observed(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status, sent = message["status"], True
                message["headers"] = [*message.get("headers", []), *HEADERS]
                if scope["path"].startswith("/api/"):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        try:
            await self.keys.fresh()
            scope["key"] = self._check(scope, headers)
            await self.app(scope, limited, observed)
        except Refused as refused:
            status = refused.status
            if not sent:
                await _refuse(observed, refused)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.observe(route, status, time.perf_counter() - start)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> Key | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.largest:
            raise Refused(413, f"the body must not exceed {self.largest:,} bytes")
        key = self._key(scope, headers)
        if self.rate:
            self._count(key.name if key else (scope.get("client") or ("",))[0], self.rate)
        return key

    def _key(self, scope: Scope, headers: dict[bytes, bytes]) -> Key | None:
        path, method = scope["path"], scope["method"]
        private = (path.startswith("/api/") or path == "/metrics") and not path.startswith(OPEN)
        if not self.keys.any():
            # Loopback only: a web page elsewhere must not reach it through the user's browser.
            host = urlsplit(f"//{headers.get(b'host', b'localhost').decode('latin-1')}").hostname
            if host not in self.hosts:
                raise Refused(403, "without API keys the service answers to loopback names only")
            origin = headers.get(b"origin")
            if method not in ("GET", "HEAD") and origin is not None:
                at = urlsplit(origin.decode("latin-1")).netloc
                if at != headers.get(b"host", b"").decode("latin-1"):
                    raise Refused(403, "requests from other web pages are refused")
            return None
        if not private:
            return None
        given = headers.get(b"authorization", b"").decode("latin-1")
        token = given[7:] if given.lower().startswith("bearer ") else ""
        token = token or headers.get(b"x-api-key", b"").decode("latin-1")
        key = self.keys.find(token) if token else None
        if key is None:
            raise Refused(
                401, "an API key is needed: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )
        needed = _scope_of(path, method)
        if needed not in key.scopes and "admin" not in key.scopes:
            raise Refused(403, f"this key lacks the scope {needed!r}")
        return key

    def _count(self, client: str, rate: float) -> None:
        """A bucket of two seconds' worth of requests per client."""
        now = time.monotonic()
        left, at = self._tokens.pop(client, (2 * rate, now))
        left = min(2 * rate, left + (now - at) * rate) - 1.0
        self._tokens[client] = max(left, 0.0), now
        if len(self._tokens) > CLIENTS:
            self._tokens.popitem(last=False)
        if left < 0:
            raise Refused(429, f"more than {rate:g} requests per second", {"Retry-After": "1"})


def _scope_of(path: str, method: str) -> str:
    if path == "/metrics" or path.startswith(
        ("/api/models", "/api/console", "/api/audit", "/api/experiments")
    ):
        return "admin"
    reading = method in ("GET", "HEAD") or path == "/api/recommend"
    return "read" if reading and not path.startswith("/api/users") else "write"


async def _refuse(send: Send, refused: Refused) -> None:
    body = body_of(refused.status, refused.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
