"""`Guard`: what every request passes: keys, limits, security headers, and the clock behind the metrics."""

from __future__ import annotations

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.doors import Door, Doors, Refused
from crossaisle.serve.keys import Key
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
SLOW_SECONDS, SLOWEST = 20.0, 10_000
"""Seconds that a client may have the service wait for a body, and bytes that each further one must bring."""
ADMIN = ("/metrics", "/api/models", "/api/console", "/api/audit", "/api/experiments")


class Guard:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        doors: Doors,
        largest_body: int,
        hosts: frozenset[str] = frozenset(LOOPBACK),
    ) -> None:
        """`hosts`: names to answer to while there is no key."""
        self.app, self.doors, self.largest, self.hosts = app, doors, largest_body, hosts
        worker = doors.shops.worker
        self.headers = HEADERS if worker is None else [*HEADERS, (b"x-worker", str(worker).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, sent, read = time.perf_counter(), 500, False, 0
        waited, stopped = 0.0, cast(Refused | None, None)
        headers = dict(scope["headers"])
        scope["service"] = None
        metrics = self.doors.unnamed

        async def limited() -> Message:
            nonlocal read, waited, stopped
            before = time.monotonic()
            try:
                async with asyncio.timeout(SLOW_SECONDS + read / SLOWEST - waited):
                    message = await receive()
            except TimeoutError:
                slow = f"the body came too slowly: at least {SLOWEST:,} bytes a second"
                stopped = Refused(408, slow, {"Connection": "close"})
                raise stopped from None
            waited += time.monotonic() - before
            read += len(message.get("body", b""))
            if read > self.largest:
                rule = f"the body must not exceed {self.largest:,} bytes"
                stopped = Refused(413, rule, {"Connection": "close"})
                raise stopped
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
            door = self.doors.of(headers, path, private)
            metrics = door.metrics
            await self.doors.fresh(door)
            scope["key"] = self._check(scope, headers, door, private)
            scope["service"] = door.service
            # What other workers acknowledged counts from here on.
            if door.service is not None and door.service.following is not None and private:
                await door.service.following.asked()
            await self.app(scope, limited, observed)
            if stopped is not None:
                raise stopped
        except Refused as refused:
            stopped, status = None, refused.status
            if not sent:
                await _refuse(observed, refused)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            metrics.observe(route, status, time.perf_counter() - start)

    def _check(self, scope: Scope, headers: dict[bytes, bytes], door: Door, private: bool) -> Key | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.largest:
            raise Refused(413, f"the body must not exceed {self.largest:,} bytes")
        key = self._key(scope, headers, door, private)
        if door.rate:
            door.count(key.name if key else (scope.get("client") or ("",))[0])
        return key

    def _key(self, scope: Scope, headers: dict[bytes, bytes], door: Door, private: bool) -> Key | None:
        locked = door.keys is not None and door.keys.any()
        if not locked and not self.doors.any_keys():
            self._local(scope, headers)
            if not self.doors.shops.named:
                return None
        if not private:
            return None
        given = headers.get(b"authorization", b"").decode("latin-1")
        token = given[7:] if given.lower().startswith("bearer ") else ""
        token = token or headers.get(b"x-api-key", b"").decode("latin-1")
        key = door.keys.find(token) if token and door.keys is not None else None
        if key is None and (locked or token):
            raise Refused(
                401, "an API key is needed: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )
        if key is None:
            if self.doors.any_keys():
                raise Refused(403, "this shop has no API key yet, and other shops do: make one for it")
            return None
        needed = _scope_of(scope["path"], scope["method"])
        if needed not in key.scopes and "admin" not in key.scopes:
            raise Refused(403, f"this key lacks the scope {needed!r}")
        return key

    def _local(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Loopback only: a web page elsewhere must not reach it through the user's browser."""
        host = urlsplit(f"//{headers.get(b'host', b'localhost').decode('latin-1')}").hostname
        if host not in self.hosts:
            raise Refused(403, "without API keys the service answers to loopback names only")
        origin = headers.get(b"origin")
        if scope["method"] not in ("GET", "HEAD") and origin is not None:
            at = urlsplit(origin.decode("latin-1")).netloc
            if at != headers.get(b"host", b"").decode("latin-1"):
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
