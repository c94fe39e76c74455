"""`RequestContext`: what the middlewares know about a request, kept in its ASGI scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.types import Scope

from crossaisle.serve.api.access import RouteScope
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.api.tenancy import Tenant
from crossaisle.serve.store.api_keys import Key


@dataclass(slots=True)
class RequestContext:
    """Which shop a request is for, who sends it, and what it needs."""

    headers: Mapping[bytes, bytes]
    """The last value of each header, by its name in lower case."""
    route: APIRoute | None
    """The route that will answer; None where none does."""
    needs: RouteScope
    tenant: Tenant
    refusal: RefusedError | None
    """Why the request names no shop that is served. Told once the caller may know."""
    token: str = ""
    """The API key as it was sent."""
    key: Key | None = None
    """The key that the token is; None for an unknown or a revoked one."""
    keyless: bool = False
    """Whether requests need no key."""
    gone: bool = False
    """Whether the client went away before its request was whole."""

    @property
    def insider(self) -> bool:
        """Whether the caller may see the names of the model and of the store's state."""
        return self.keyless or (self.key is not None and not self.key.scopes.isdisjoint(("read", "admin")))


def context_of(scope: Scope) -> RequestContext:
    """The context of a request; `KeyError` where the middlewares are missing, so that nothing is answered."""
    context: RequestContext = scope["context"]
    return context
