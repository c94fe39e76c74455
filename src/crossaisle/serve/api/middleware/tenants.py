"""Finds the route, the shop and the key of a request, and counts the request against its rate."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from crossaisle.serve.api.access import Proxies
from crossaisle.serve.api.context import RequestContext
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.api.routing import RouteTable
from crossaisle.serve.api.tenancy import HEADER, TenantGate
from crossaisle.serve.store.api_keys import PUBLISHABLE

ONCE = {
    b"authorization": "Authorization",
    b"x-api-key": "X-API-Key",
    HEADER: "X-Shop",
    b"origin": "Origin",
    b"idempotency-key": "Idempotency-Key",
}
"""Headers that say who asks, of which shop, and whether it was asked before."""


class TenantMiddleware:
    """ASGI middleware. It only refuses clients that ask too often; keys are checked further in."""

    def __init__(self, app: ASGIApp, *, gate: TenantGate, routes: RouteTable, proxies: Proxies) -> None:
        self.app, self._gate, self._routes, self._proxies = app, gate, routes, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._identify(scope)
        await self.app(scope, receive, send)

    async def _identify(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        route, needs = self._routes.find(scope["method"], scope["path"])
        if needs == "visitor":
            _read_query(scope, headers)
        tenant, refusal = self._gate.find(headers.get(HEADER), needs)
        refusal = _given_twice(scope) or refusal
        context = RequestContext(headers, route, needs, tenant, refusal)
        scope["context"] = context
        given = headers.get(b"authorization", b"").decode("latin-1")
        context.token = given[7:] if given.lower().startswith("bearer ") else ""
        context.token = context.token or headers.get(b"x-api-key", b"").decode("latin-1")
        context.key = await self._gate.key_of(tenant, context.token)
        context.keyless = self._gate.keyless
        # Before anything is checked: clients without a key must not ask without end.
        self._gate.count(tenant, context.key, self._proxies.client(scope, headers))


def _given_twice(scope: Scope) -> RefusedError | None:
    """Of two keys, shops or pages, this service might take one and a proxy before it another."""
    names = [name for name, _ in scope["headers"]]
    twice = next((name for name in ONCE if names.count(name) > 1), None)
    return (
        None if twice is None else RefusedError(400, f"the header {ONCE[twice]} is given twice: send it once")
    )


def _read_query(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Takes shop and key from the query, for requests that cannot have headers; a secret is not taken there,
    because addresses are logged.
    """
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if (shop := query.get("shop")) is not None:
        headers.setdefault(HEADER, shop[0].encode())
    if (key := query.get("key")) is not None and key[0].startswith(PUBLISHABLE):
        headers.setdefault(b"x-api-key", key[0].encode())
