"""`HttpProtocol`: HTTP/1.1 as uvicorn speaks it, with an end to every wait for a client, and to crowds.

uvicorn itself waits for ever for the rest of a request's head and for somebody to read an answer, takes heads
of any size, and refuses nobody before a head is there.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from typing import Any, ClassVar

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from crossaisle.serve.api.problems import body_of

HEAD_SECONDS = 10.0
"""A connection that does not send the head of a request within this time is closed."""
UNREAD_SECONDS, SLOWEST = 20.0, 10_000
"""So long may an answer lie unread; who reads at least so many bytes a second is waited for."""
SYSTEM_SECONDS = 30
"""After so long the system gives its part of an unread answer up, also of a connection that is closed."""
SYSTEM_BYTES = 131_072
"""What the system takes of an answer at a time: with more, one could not see whether somebody reads."""
LOOK_SECONDS = 2.5
"""How often a connection is looked at: so much later it may be closed."""
LARGEST_HEAD, MOST_LINES = 65_536, 100
"""Bytes of a request's head, its address included, and its lines. Trailers count, too."""
PER_BYTE = 8
"""Bytes around the chunks of a body, at most, for each byte that the chunks hold."""
MOST_WAITING = 100
"""Requests that one connection may have waiting for their turn before no more of it is read."""
PART = 16_384
"""Bytes that are parsed at a time: as many requests as they hold may wait on top of these."""
MOST_UNREAD = 64_000_000
"""Bytes of answers that nobody reads, of all connections; beyond, the longest unread ones are given up."""
BACKLOG = 4096
"""Connections that may wait to be accepted."""
RESERVED = 256
"""Open files that are kept for the store, models and scripts."""
GRACE_SECONDS = 20
"""What is under way when the service is told to stop has this time to end."""
HURRY_SECONDS = 10.0
"""The same for answers that nobody reads, and for bodies that are not whole."""


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
_TOO_LARGE = _answer(
    431,
    "Request Header Fields Too Large",
    f"the head of a request must not exceed {LARGEST_HEAD:,} bytes and {MOST_LINES} lines",
)
_NO_HTTP = _answer(400, "Bad Request", "this is not HTTP/1.1")


class _Flow(FlowControl):
    """Reads on only once what was read is parsed."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """One client."""

    most = 1024
    """Connections at once; more are answered with 503."""
    refused = 0
    """Connections that are about to be."""
    unread: ClassVar[dict[HttpProtocol, int]] = {}
    """Bytes that lie unread, of the connections where that is too much to go on writing."""
    _refused = False
    _since: float | None = None
    """Since when the head of a request is awaited."""
    _timer: asyncio.TimerHandle | None = None
    _stuck: tuple[float, int] | None = None
    """When somebody read last, and how many bytes were left then."""
    _leaving: float | None = None
    """Since when the service is about to end."""
    _whole = _moved = False
    """Whether the head that came last is whole, and became so in this packet."""
    _head = _lines = _around = _body = 0
    """Bytes and lines of the head, bytes that brought neither head nor body, bytes of body in this packet."""
    _why = _NO_HTTP
    _rest = b""
    """What is read and not parsed yet."""
    _running: RequestResponseCycle | None = None
    """The request that is being answered; those that wait are in `pipeline`."""

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self.most:
            self._refuse_soon(transport)
            return
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        _bound(transport.get_extra_info("socket"))
        self._since = self.loop.time()
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _refuse_soon(self, transport: Any) -> None:
        """Answers 503 once the client has asked: before that, closing could swallow the answer."""
        self._refused, self.transport = True, transport
        HttpProtocol.refused += 1
        if HttpProtocol.refused > RESERVED // 2:
            self._refuse()
        else:
            self._timer = self.loop.call_later(1.0, self._refuse)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.unread.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._refused:
            HttpProtocol.refused -= 1
        else:
            self._tell()
            super().connection_lost(exc)

    def _tell(self) -> None:
        """Has what is being answered know that nobody is there; uvicorn tells the newest request only."""
        self.pipeline.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _abort(self) -> None:
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
            if len(self.pipeline) >= MOST_WAITING:
                self._flow.held = True
                self._flow.pause_reading()
                return
            part, self._rest = self._rest[:PART], self._rest[PART:]
            self._body, self._moved = 0, False
            super().data_received(part)
            # The parser tells of lines once they are whole, and of what stands around chunks never.
            gained = len(part) - (1 + PER_BYTE) * self._body
            self._around = 0 if self._moved else max(self._around + gained, 0)
            if self._around > LARGEST_HEAD and not self.transport.is_closing():
                self._why = _TOO_LARGE
                self.send_400_response("")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._rest and len(self.pipeline) <= MOST_WAITING // 2:
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
        if not self._whole:  # trailers are for nobody here
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > LARGEST_HEAD or self._lines > MOST_LINES:
            self._why = _TOO_LARGE
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
        self.unread[self] = self._note_unread()
        if sum(self.unread.values()) > MOST_UNREAD:
            self._give_up()

    def resume_writing(self) -> None:
        self.unread.pop(self, None)
        super().resume_writing()

    def _note_unread(self) -> int:
        """Bytes that lie unread; notes whether somebody reads."""
        now, size = self.loop.time(), int(self.transport.get_write_buffer_size())
        if not size:
            self._stuck = None
        elif (
            self._stuck is None
            or size > self._stuck[1]  # there was room for more
            or self._stuck[1] - size >= max(SLOWEST * (now - self._stuck[0]), 1)
        ):
            self._stuck = now, size
        return size

    def _give_up(self) -> None:
        """Closes those where nobody has read for longest, until the rest is little enough."""
        for one in self.unread:
            self.unread[one] = one._note_unread()
        left = sum(self.unread.values())
        for one in sorted(self.unread, key=lambda one: one._stuck or (0.0, 0)):
            if left <= MOST_UNREAD or one is self:
                return
            left -= self.unread.pop(one)
            one._abort()

    def shutdown(self) -> None:
        self._leaving = self.loop.time()
        super().shutdown()

    def _look(self) -> None:
        """Once in a while rather than at every request, so that requests cost nothing more."""
        now = self.loop.time()
        unread, cycle = self._note_unread(), self.cycle
        if self._leaving is not None and now - self._leaving >= HURRY_SECONDS:
            over = bool(unread) or (cycle is not None and cycle.more_body)
        else:
            over = self._stuck is not None and now - self._stuck[0] >= UNREAD_SECONDS
        if over:
            self._abort()
            return
        if not unread and self._since is not None and now - self._since >= HEAD_SECONDS:
            self.transport.close()
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)


def _bound(connected: socket.socket | None) -> None:
    """Limits what the system holds of an answer, and for how long."""
    if connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM_BYTES)
    if sys.platform == "linux":
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SYSTEM_SECONDS * 1000)


def config(app: Any, **settings: Any) -> uvicorn.Config:
    """How the service listens. Raises the limit of open files as far as it may."""
    HttpProtocol.most = max(_open_files() - RESERVED, 64)
    settings = {
        "backlog": BACKLOG,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "proxy_headers": False,  # `TenantMiddleware` knows which proxies to trust
        "ws": "none",
        **settings,
    }
    made = uvicorn.Config(app, http=HttpProtocol, access_log=False, server_header=False, **settings)
    logging.getLogger("uvicorn.error").addFilter(_is_no_garbage)
    return made


def _is_no_garbage(record: logging.LogRecord) -> bool:
    """Whether a line of the log is about anything but bytes that are no HTTP: any client could fill it."""
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
