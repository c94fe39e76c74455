"""While no key is needed, lets in this machine only: no proxy, and no web page from elsewhere."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from crossaisle.serve.api.access import address_of
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.problems import RefusedError

PROXIED = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
"""Headers that only proxies set; those that begin with `x-forwarded` as well."""
PAGES = ("/", "/console")
"""What a link may lead to."""
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class LoopbackMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        """`hosts`: the names that the service answers to while no key is needed."""
        self.app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and context_of(scope).keyless:
            _check_client(scope)
            _check_no_proxy(scope)
            _check_page(scope, self._check_host(scope))
        await self.app(scope, receive, send)

    def _check_host(self, scope: Scope) -> bytes:
        """The host that the request names."""
        host = context_of(scope).headers.get(b"host", b"localhost").lower()
        parts, names = _HOST.fullmatch(host), sum(name == b"host" for name, _ in scope["headers"])
        if parts is None or names > 1 or parts[1].decode() not in self._hosts:
            raise RefusedError(403, "without API keys the service only answers to loopback names")
        return host


def _check_client(scope: Scope) -> None:
    client = scope.get("client")
    address = None if client is None else address_of(client[0])
    if address is None or not address.is_loopback:
        raise RefusedError(
            403, "without API keys the service only answers this machine: make a key to let others in"
        )


def _check_no_proxy(scope: Scope) -> None:
    sign = "HTTP/1.0" if scope.get("http_version") == "1.0" else ""  # what nginx speaks by default
    for name, _ in scope["headers"]:
        if name in PROXIED or name.startswith(b"x-forwarded"):
            sign = name.decode("latin-1")[:64]
    if sign:
        raise RefusedError(
            403,
            f"without API keys the service refuses requests through a proxy ({sign}): make a key with  "
            "crossaisle keys add STORE NAME  and start it with --behind-proxy ADDRESS",
        )


def _check_page(scope: Scope, host: bytes) -> None:
    """A page elsewhere reaches this machine through the browser of whoever opens it."""
    headers = context_of(scope).headers
    origin = headers.get(b"origin")
    own = origin is None or origin.lower() in (b"http://" + host, b"https://" + host)
    if own and headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin"):
        return
    # A link elsewhere may lead to a page, which only reads by itself.
    followed = scope["path"] in PAGES and headers.get(b"sec-fetch-mode") == b"navigate"
    if not (own and followed and scope["method"] in ("GET", "HEAD")):
        raise RefusedError(403, "requests from other web pages are refused")
