"""`HttpProtocol`: HTTP/1.1 as uvicorn speaks it, with limits to waits for clients and to their number.

uvicorn itself waits indefinitely for the rest of a request's head and for a client to read an answer, accepts
heads of any size, and refuses nobody before a head is there. What is used of its internals is named, one by
one, in tests/serve/server/test_uvicorn.py.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from typing import Any

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from crossaisle.serve.api.problems import body_of
from crossaisle.serve.limits.server import ServerLimits

SYSTEM_SECONDS = 30
"""After this time the system drops its part of an unread answer, also of a connection that is closed."""
SYSTEM_BYTES = 131_072
"""What the system takes of an answer at a time: with more, one could not see whether the client reads."""
PER_BYTE = 8
"""Bytes around the chunks of a body, at most, for each byte that the chunks hold."""
PART = 16_384
"""Bytes that are parsed at a time: as many requests as they hold may wait on top of those that may."""


class _Refusal(Exception):
    """Raised within the parser, which stops there."""


def _answer(status: int, phrase: str, detail: str, more: str = "") -> bytes:
    body = body_of(status, detail)
    lines = (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\n{more}connection: close\r\n"
    )
    return f"{lines}content-length: {len(body)}\r\n\r\n".encode() + body


_FULL = _answer(
    503, "Service Unavailable", "too many connections: try again in a moment", "retry-after: 1\r\n"
)
_NO_HTTP = _answer(400, "Bad Request", "this is not HTTP/1.1")


class _Flow(FlowControl):
    """Reads on only once what was read is parsed."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Connections:
    """What all connections of one process share."""

    def __init__(self, limits: ServerLimits) -> None:
        """Raises the process's limit of open files as far as it may."""
        self.limits = limits
        allowed = max(_open_files() - limits.reserved_files, 64)
        self.most = min(limits.max_connections or allowed, allowed)
        """Connections at once; more are answered with 503."""
        self.refused = 0
        """Connections that are being refused."""
        self.unread: dict[HttpProtocol, int] = {}
        """Unread bytes of the connections that have too many of them to go on writing."""
        self.too_large = _answer(
            431,
            "Request Header Fields Too Large",
            f"the head of a request must not exceed {limits.max_head:,} bytes and "
            f"{limits.max_head_lines} lines",
        )

    def give_up(self, newest: HttpProtocol) -> None:
        """Closes connections that have not been read from for longest, until the rest is little enough."""
        for connection in self.unread:
            self.unread[connection] = connection.note_unread()
        left = sum(self.unread.values())
        for connection in sorted(self.unread, key=lambda each: each.stuck or (0.0, 0)):
            if left <= self.limits.max_unread or connection is newest:
                return
            left -= self.unread.pop(connection)
            connection.abort()


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, and what the connections share."""

    def __init__(self, app: Any, connections: Connections, **settings: Any) -> None:
        super().__init__(app, http=HttpProtocol, **settings)
        self.connections = connections


class HttpProtocol(HttpToolsProtocol):
    """One client."""

    stuck: tuple[float, int] | None = None
    """When the client read last, and how many bytes were left then; None where nothing lies unread."""
    _refused = False
    _since: float | None = None
    """When the service began to wait for the head of a request."""
    _timer: asyncio.TimerHandle | None = None
    _leaving: float | None = None
    """When the service was told to stop."""
    _whole = _moved = False
    """Whether the last head is complete, and was completed by this packet."""
    _head = _lines = _around = _body = 0
    """Bytes and lines of the head; bytes that were neither head nor body; bytes of body in this packet."""
    _why = _NO_HTTP
    _rest = b""
    """What was read and is not parsed yet."""
    _running: RequestResponseCycle | None = None
    """The request that is being answered; those that wait are in `pipeline`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(config, ServerConfig)
        self._shared, self._limits = config.connections, config.connections.limits

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self._shared.most:
            self._refuse_soon(transport)
            return
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        _limit_buffers(transport.get_extra_info("socket"))
        self._since = self.loop.time()
        self._timer = self.loop.call_later(self._limits.check_seconds, self._check)

    def _refuse_soon(self, transport: Any) -> None:
        """Answers 503 once the client has asked: before that, closing could swallow the answer."""
        self._refused, self.transport = True, transport
        self._shared.refused += 1
        if self._shared.refused > self._limits.reserved_files // 2:
            self._refuse()
        else:
            self._timer = self.loop.call_later(1.0, self._refuse)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.unread.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._refused:
            self._shared.refused -= 1
        else:
            self._tell()
            super().connection_lost(exc)

    def _tell(self) -> None:
        """Tells all requests under way that the client is gone; uvicorn tells the newest one only."""
        self.pipeline.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def abort(self) -> None:
        """Closes the connection at once, unread answers included."""
        self._tell()
        connected = self.transport.get_extra_info("socket")
        if connected is not None:  # the system drops its part of the answer as well
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # What comes in

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._refuse()
            return
        if self._since is None and (self.cycle is None or self.cycle.response_complete):
            self._since = self.loop.time()
        self._rest += data
        self._parse()

    def _parse(self) -> None:
        """Parses what is read, as far as requests may wait."""
        self._flow.held = False
        while self._rest and not self.transport.is_closing():
            if len(self.pipeline) >= self._limits.max_pipelined:
                self._flow.held = True
                self._flow.pause_reading()
                return
            part, self._rest = self._rest[:PART], self._rest[PART:]
            self._body, self._moved = 0, False
            super().data_received(part)
            # The parser reports lines once they are complete, and never what stands around chunks.
            gained = len(part) - (1 + PER_BYTE) * self._body
            self._around = 0 if self._moved else max(self._around + gained, 0)
            if self._around > self._limits.max_head and not self.transport.is_closing():
                self._why = self._shared.too_large
                self.send_400_response("")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._rest and len(self.pipeline) <= self._limits.max_pipelined // 2:
            self._parse()
            if not self._rest and not self.pipeline:
                self._flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        self._head = self._lines = 0
        self._whole = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        self._count(len(name) + len(value) + 4)
        if not self._whole:  # nothing here reads trailers
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.max_head or self._lines > self._limits.max_head_lines:
            self._why = self._shared.too_large
            raise _Refusal

    def on_headers_complete(self) -> None:
        self._since, self._whole, self._moved = None, True, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        cycle = self.cycle
        amid = cycle is not None and cycle.response_started and not cycle.response_complete
        if not (amid or self.pipeline or self.transport.is_closing()):
            self.transport.write(self._why)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing in the log: any client could fill it."""

    # What goes out

    def pause_writing(self) -> None:
        super().pause_writing()
        unread = self._shared.unread
        unread[self] = self.note_unread()
        if sum(unread.values()) > self._limits.max_unread:
            self._shared.give_up(self)

    def resume_writing(self) -> None:
        self._shared.unread.pop(self, None)
        super().resume_writing()

    def note_unread(self) -> int:
        """Unread bytes; records whether the client reads."""
        now, size = self.loop.time(), int(self.transport.get_write_buffer_size())
        if not size:
            self.stuck = None
        elif (
            self.stuck is None
            or size > self.stuck[1]  # there was room for more
            or self.stuck[1] - size >= max(self._limits.min_read_rate * (now - self.stuck[0]), 1)
        ):
            self.stuck = now, size
        return size

    def shutdown(self) -> None:
        self._leaving = self.loop.time()
        super().shutdown()

    def _check(self) -> None:
        """Closes a connection whose client is too slow. Runs now and then, not at every request, which keeps
        requests cheap.
        """
        now = self.loop.time()
        unread, cycle = self.note_unread(), self.cycle
        if self._leaving is not None and now - self._leaving >= self._limits.hurry_seconds:
            over = bool(unread) or (cycle is not None and cycle.more_body)
        else:
            over = self.stuck is not None and now - self.stuck[0] >= self._limits.unread_seconds
        if over:
            self.abort()
            return
        if not unread and self._since is not None and now - self._since >= self._limits.head_seconds:
            self.transport.close()
        self._timer = self.loop.call_later(self._limits.check_seconds, self._check)


def _limit_buffers(connected: socket.socket | None) -> None:
    """Limits what the system holds of an answer, and for how long."""
    if connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM_BYTES)
    if sys.platform == "linux":
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SYSTEM_SECONDS * 1000)


def config(app: Any, *, limits: ServerLimits = ServerLimits(), **settings: Any) -> ServerConfig:
    """How the service listens. `settings`: of `uvicorn.Config`."""
    settings = {
        "backlog": limits.backlog,
        "timeout_graceful_shutdown": limits.grace_seconds,
        "proxy_headers": False,  # `TenantMiddleware` knows which proxies to trust
        "ws": "none",
        "access_log": False,
        "server_header": False,
        **settings,
    }
    made = ServerConfig(app, Connections(limits), **settings)
    logging.getLogger("uvicorn.error").addFilter(_is_no_garbage)
    return made


def _is_no_garbage(record: logging.LogRecord) -> bool:
    """Whether a log record is about anything but bytes that are not HTTP: any client could fill the log."""
    return record.msg != "Invalid HTTP request received."


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
