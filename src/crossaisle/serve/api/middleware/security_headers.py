"""Adds the headers that protect whoever opens an answer in a browser."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossaisle.serve.api.routing import API

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def policy(image_hosts: Sequence[str] = ()) -> str:
    """What a page of the service may load. `image_hosts`: HOST or HOST:PORT that pictures are shown from."""
    # A policy has no form for addresses of IPv6.
    hosts = "".join(f" {host}" for host in sorted(set(image_hosts)) if host.count(":") < 2)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{hosts}; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


class SecurityHeadersMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, worker: int | None = None, image_hosts: Sequence[str] = ()) -> None:
        """`worker`: the number of this process, where there are several; sent as `X-Worker`. `image_hosts`:
        whose pictures the page shows.
        """
        self.app = app
        csp = b"content-security-policy", policy(image_hosts).encode()
        self._headers = [*HEADERS, csp, *([] if worker is None else [(b"x-worker", str(worker).encode())])]
        self._uncached = [*self._headers, (b"cache-control", b"no-store")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = self._uncached if scope["path"].startswith(API) else self._headers

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                own = {name for name, _ in given}  # the script says that pages elsewhere may load it
                message["headers"] = given + [one for one in headers if one[0] not in own]
            await send(message)

        await self.app(scope, receive, guarded)
