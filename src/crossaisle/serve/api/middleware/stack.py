"""`install`: the middlewares in their order."""

from __future__ import annotations

from fastapi import FastAPI

from crossaisle.serve.api.access import Proxies
from crossaisle.serve.api.middleware.api_keys import ApiKeyMiddleware
from crossaisle.serve.api.middleware.body_limit import BodyLimitMiddleware
from crossaisle.serve.api.middleware.canonical_path import CanonicalPathMiddleware
from crossaisle.serve.api.middleware.cors import CorsMiddleware
from crossaisle.serve.api.middleware.direct import DirectMiddleware
from crossaisle.serve.api.middleware.head import HeadMiddleware
from crossaisle.serve.api.middleware.loopback import LoopbackMiddleware
from crossaisle.serve.api.middleware.metrics import MetricsMiddleware
from crossaisle.serve.api.middleware.refusals import RefusalMiddleware
from crossaisle.serve.api.middleware.security_headers import SecurityHeadersMiddleware
from crossaisle.serve.api.middleware.tenants import TenantMiddleware
from crossaisle.serve.api.routing import RouteTable
from crossaisle.serve.api.tenancy import TenantGate
from crossaisle.serve.limits.api import ApiLimits


def install(
    app: FastAPI,
    *,
    gate: TenantGate,
    hosts: frozenset[str],
    proxies: Proxies,
    largest_body: int,
    limits: ApiLimits,
) -> None:
    """Adds the middlewares, the innermost first. All routes must be there: their scopes are read now.

    Whatever is refused is counted and carries the security headers. A request is counted against its rate
    before anything about it is checked; its body is not read before its key has been.
    """
    app.add_middleware(DirectMiddleware)
    app.add_middleware(ApiKeyMiddleware, gate=gate)
    app.add_middleware(LoopbackMiddleware, hosts=hosts)
    app.add_middleware(BodyLimitMiddleware, largest_body=largest_body, limits=limits)
    app.add_middleware(TenantMiddleware, gate=gate, routes=RouteTable(app.routes), proxies=proxies)
    app.add_middleware(RefusalMiddleware)
    app.add_middleware(CorsMiddleware, origins=gate.origins)
    app.add_middleware(
        SecurityHeadersMiddleware, worker=gate.shops.worker, image_hosts=gate.shops.image_hosts
    )
    app.add_middleware(MetricsMiddleware, gate=gate)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(CanonicalPathMiddleware)
