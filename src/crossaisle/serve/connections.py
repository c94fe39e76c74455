"""`Connection`: HTTP/1.1 as uvicorn speaks it, with an end to clients that are slow or idle, and to crowds.

uvicorn itself waits for ever for the rest of a request's head, and refuses nobody before that is there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crossaisle.serve.problems import body_of

HEAD_SECONDS = 10.0
"""A connection that does not send the head of a request within this time is closed (looked at as often)."""
BACKLOG = 4096
"""Connections that may wait to be accepted."""
RESERVED = 256
"""Open files that are kept for the store, models and scripts."""
_BODY = body_of(503, "too many connections: try again in a moment")
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Connection(HttpToolsProtocol):
    """One client."""

    most = 1024
    """Connections at once; more are answered with 503."""
    refused = 0
    """Connections that are about to be."""
    _refused = False
    _since: float | None = None
    """Since when the head of a request is awaited."""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self.most:
            self._refuse_soon(transport)
            return
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)

    def _refuse_soon(self, transport: Any) -> None:
        """Answers 503 once the client has asked: before that, closing could swallow the answer."""
        self._refused, self.transport = True, transport
        Connection.refused += 1
        if Connection.refused > RESERVED // 2:
            self._refuse()
        else:
            self._timer = self.loop.call_later(1.0, self._refuse)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._refused:
            Connection.refused -= 1
        else:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._refuse()
            return
        if self._since is None and (self.cycle is None or self.cycle.response_complete):
            self._since = self.loop.time()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._since = None
        super().on_headers_complete()

    def _look(self) -> None:
        """Once in a while rather than at every request, so that requests cost nothing more."""
        if self.transport.is_closing():
            return
        if self._since is not None and self.loop.time() - self._since >= HEAD_SECONDS:
            self.transport.close()
            return
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)


def config(app: Any, **settings: Any) -> uvicorn.Config:
    """How the service listens. Raises the limit of open files as far as it may."""
    Connection.most = max(_open_files() - RESERVED, 64)
    settings = {"backlog": BACKLOG, **settings}
    return uvicorn.Config(app, http=Connection, access_log=False, server_header=False, **settings)


def _open_files() -> int:
    """How many files this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return 8192
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft if soft != resource.RLIM_INFINITY else 1 << 20
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted
