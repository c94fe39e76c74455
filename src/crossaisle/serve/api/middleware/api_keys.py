"""Checks that a request has a key of its shop where it needs one, with the scope that its route declares."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from crossaisle.errors import shorten
from crossaisle.serve.api.access import KEYED
from crossaisle.serve.api.context import RequestContext, context_of
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.api.tenancy import HEADER, TenantGate


class ApiKeyMiddleware:
    """ASGI middleware. Until here no body was read and nothing was done for the request."""

    def __init__(self, app: ASGIApp, *, gate: TenantGate) -> None:
        self.app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            context = context_of(scope)
            self._check(context)
            service = context.tenant.service
            # What other workers have acknowledged counts from here on.
            if service is not None and context.needs in KEYED:
                await service.asked()
        await self.app(scope, receive, send)

    def _check(self, context: RequestContext) -> None:
        named = self._gate.shops.named and HEADER in context.headers
        if context.needs in KEYED or (context.needs == "health" and named):
            self._check_key(context)
        if context.refusal is not None:
            raise context.refusal
        key, needs = context.key, context.needs
        if key is not None and needs in KEYED and key.scopes.isdisjoint((needs, "admin")):
            raise RefusedError(403, f"this key lacks the scope {needs!r}")
        if key is not None and key.publishable and needs in KEYED:
            _check_origin(context)

    def _check_key(self, context: RequestContext) -> None:
        """Refuses a request without a key where one is needed, and one with a wrong key where none is."""
        token, keyless, refusal = context.token, context.keyless, context.refusal
        if context.key is not None or (keyless and not token):
            return
        name = context.headers.get(HEADER)
        if refusal is None and token and name is not None:
            refusal = self._gate.broken(name)
        if refusal is not None and (keyless or refusal.status == 400 or (token and refusal.status == 503)):
            raise refusal
        if not keyless and not self._gate.any_keys():
            rule = "no API key is in use, all requests are refused: run  crossaisle keys add STORE NAME"
            raise RefusedError(403, rule)
        rule = "an API key is needed: Authorization: Bearer KEY"
        raise RefusedError(401, rule, {"WWW-Authenticate": "Bearer"})


def _check_origin(context: RequestContext) -> None:
    """A publishable key counts for pages of the shop only; browsers name the page in every POST."""
    origin = context.headers.get(b"origin", b"").decode("latin-1")
    if origin not in context.tenant.origins:
        found = shorten(origin) if origin else "none"
        rule = f"this key only works for pages of the origins in --origins (found {found})"
        raise RefusedError(403, rule)
