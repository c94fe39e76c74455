"""Heads, trailers and answers that nobody reads: each has a limit and each wait an end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.server import protocol
from crossaisle.serve.server.protocol import Connections, HttpProtocol
from crossaisle.serve.service import ShopService
from tests.serve.conftest import listening

GET = b"GET /api/trending HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
LONG = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"


@contextmanager
def connected(address: str, *, window: int = 0) -> Iterator[socket.socket]:
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.settimeout(20)
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.connect((host, int(port)))
        yield client


def rest_of(client: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    found = b""
    with suppress(ConnectionError):  # closed while letters were still coming
        while part := client.recv(65536):
            found += part
    return found


def answer_to(address: str, *parts: bytes) -> bytes:
    """What is said to a client that sends these parts, until the service closes."""
    with connected(address) as client:
        client.settimeout(20)
        with suppress(ConnectionError):
            for part in parts:
                client.sendall(part)
        try:
            return client.recv(65536)
        except ConnectionError:
            return b""


def is_served(address: str) -> bool:
    with connected(address) as client:
        client.sendall(GET + b"connection: close\r\n\r\n")
        return rest_of(client).startswith(b"HTTP/1.1 200")


TOO_LARGE = [
    [GET + b"x: " + b"y" * 70_000 + b"\r\n\r\n"],
    [GET + b"x" * 70_000 + b": y\r\n\r\n"],
    [b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"],
    [GET, *[b"x: %s\r\n" % (b"y" * 1000)] * 70, b"\r\n"],
    [GET, b"".join(b"x-%d: y\r\n" % n for n in range(101)), b"\r\n"],
    [GET, b"x: ", *[b"y" * 1000] * 70],
    [b"\r\n" * 40_000],
]


@pytest.mark.parametrize("parts", TOO_LARGE, ids=lambda parts: parts[0][:20] + b"...")
def test_a_head_has_a_limit_before_any_key_is_looked_at(address: str, parts: list[bytes]) -> None:
    said = answer_to(address, *parts)
    head, body = said.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["detail"] == "the head of a request must not exceed 65,536 bytes and 100 lines"
    assert is_served(address)


@pytest.mark.parametrize(
    "parts",
    [
        [CHUNKED, b"0\r\n", *[b"x: %s\r\n" % (b"y" * 1000)] * 70],
        [CHUNKED, b"0\r\n", *[b"x: y\r\n"] * 101],
        [CHUNKED, b"1;", *[b"y" * 1000] * 100],
        [CHUNKED, *[b"1;%s\r\n \r\n" % (b"y" * 1000)] * 100],
    ],
    ids=["long trailers", "many trailers", "a long extension", "many extensions"],
)
def test_what_stands_around_a_body_has_a_limit(address: str, parts: list[bytes]) -> None:
    assert answer_to(address, *parts).startswith(b"HTTP/1.1 431 ")
    assert is_served(address)


def test_a_trailer_is_no_header(address: str, service: ShopService) -> None:
    event = b'{"user":"zoe","item":"bread"}'
    for _ in range(2):
        end = b"%x\r\n%s\r\n0\r\nidempotency-key: k\r\n\r\n" % (len(event), event)
        assert answer_to(address, CHUNKED + end).startswith(b"HTTP/1.1 200")
    assert len(service.live.of("zoe").items) == 2


def test_invalid_http_does_not_fill_the_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    host, port = address.removeprefix("http://").split(":")
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=20) as one:
            one.sendall(sent)
            assert one.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


def test_an_ordinary_client_meets_no_limit(address: str, service: ShopService) -> None:
    event = b'{"user":"zoe","item":"bread"}'
    with connected(address) as client:
        file = client.makefile("rb")

        def status() -> bytes:
            line, length = file.readline(), 0
            while (header := file.readline()) not in (b"\r\n", b""):
                if header.startswith(b"content-length"):
                    length = int(header.split(b":")[1])
            file.read(length)
            return line[9:12]

        for _ in range(200):  # more than a head may hold, over the life of a connection
            client.sendall(GET + b"x: %s\r\n\r\n" % (b"y" * 800))
            assert status() == b"200"
        client.sendall(GET + b"x: %s\r\n\r\n" % (b"y" * 60_000))
        assert status() == b"200"
        letters = b"".join(b"1\r\n%c\r\n" % letter for letter in b" " * 20_000 + event)
        client.sendall(CHUNKED + letters + b"0\r\n\r\n")
        assert status() == b"200"
        client.sendall((POST + b"content-length: %d\r\n\r\n%s" % (len(event), event)) * 300)
        assert [status() for _ in range(300)] == [b"200"] * 300
    assert len(service.live.of("zoe").items) == 301


def test_requests_that_wait_are_not_taken_in_without_end(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 0
    start = HttpProtocol._start_asgi_task

    def noted(self: HttpProtocol, cycle: object, app: object) -> None:
        nonlocal longest
        longest = max(longest, len(self.pipeline))
        start(self, cycle, app)  # type: ignore[arg-type]

    monkeypatch.setattr(HttpProtocol, "_start_asgi_task", noted)
    n = 3000
    with connected(address) as client:
        client.sendall(b"GET /nowhere HTTP/1.1\r\n\r\n" * n)
        found = 0
        while found < n:
            found += client.recv(1 << 20).count(b"HTTP/1.1 404")
    part = protocol.PART // len(b"GET /nowhere HTTP/1.1\r\n\r\n")
    assert longest <= ServerLimits().max_pipelined + part + 1


HASTY = ServerLimits(check_seconds=0.05, unread_seconds=1.5)


@pytest.fixture
def hasty(service: ShopService) -> Iterator[tuple[str, Connections]]:
    with listening(service, server=HASTY) as found:
        yield found


def until_nobody_is_unread(connections: Connections) -> None:
    end = time.monotonic() + 20
    while connections.unread:
        assert time.monotonic() < end, "an answer lies unread for ever"
        time.sleep(0.01)


def is_unread(connections: Connections, n: int) -> None:
    end = time.monotonic() + 20
    while len(connections.unread) < n:
        assert time.monotonic() < end, "everything fits into the buffers of the system"
        time.sleep(0.01)


def test_a_client_that_does_not_read_is_closed(hasty: tuple[str, Connections]) -> None:
    n = 40
    address, connections = hasty
    with connected(address, window=4096) as client:
        client.sendall(LONG * n)
        is_unread(connections, 1)
        assert is_served(address)
        until_nobody_is_unread(connections)
        assert rest_of(client).count(b"HTTP/1.1 200") < n
    assert is_served(address)


@pytest.mark.slow
def test_a_client_that_reads_slowly_gets_its_answers(hasty: tuple[str, Connections]) -> None:
    n = 60
    address, connections = hasty
    with connected(address, window=65_536) as client:
        client.sendall(LONG * (n - 1) + LONG[:-2] + b"connection: close\r\n\r\n")
        is_unread(connections, 1)
        found, start = b"", time.monotonic()
        while time.monotonic() < start + 3 * HASTY.unread_seconds:
            found += client.recv(20_000)
            time.sleep(0.02)
        found += rest_of(client)
    assert found.count(b"HTTP/1.1 200") == n


def test_unread_answers_of_all_clients_together_have_a_limit(
    service: ShopService, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    give_up = Connections.give_up

    def noted(self: Connections, newest: HttpProtocol) -> None:
        give_up(self, newest)
        given_up.set()

    monkeypatch.setattr(Connections, "give_up", noted)
    n = 40
    limits = ServerLimits(max_unread=300_000)
    with listening(service, server=limits) as (address, connections), ExitStack() as stack:
        for first in (True, *[False] * 5):
            client = stack.enter_context(connected(address, window=4096))
            client.sendall(LONG * n)
            if first:
                is_unread(connections, 1)
                oldest = client
        assert given_up.wait(20)
        assert rest_of(oldest).count(b"HTTP/1.1 200") < n
        assert sum(connections.unread.values()) <= 500_000
        assert is_served(address)


def test_a_client_that_does_not_read_does_not_keep_the_service_from_ending(service: ShopService) -> None:
    limits = ServerLimits(check_seconds=0.05, hurry_seconds=0.2)
    with ExitStack() as stack:
        with listening(service, server=limits) as (address, connections):
            client = stack.enter_context(connected(address, window=4096))
            client.sendall(LONG * 40)
            slow = stack.enter_context(connected(address))
            slow.sendall(POST + b"content-length: 100\r\n\r\n{")
            is_unread(connections, 1)
            start = time.monotonic()
        assert time.monotonic() - start < 10  # 20 would be the end of all patience


def test_a_process_ends_although_it_is_busy() -> None:
    code = """
import asyncio, sys, time, uvicorn
from crossaisle.serve.server import shutdown
async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await asyncio.to_thread(time.sleep, 60)
        await send({"type": message["type"] + ".complete"})
class Server(shutdown.EndingServer):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("ready", flush=True)
Server(uvicorn.Config(app, port=0), last_seconds=0.5).run()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with closing(process.stdout or sys.stdin), closing(process.stderr or sys.stdin):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 1
        assert b"still busy 0.5 s after it was told to stop" in process.stderr.read()
