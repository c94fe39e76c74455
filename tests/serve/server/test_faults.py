"""Slow clients, crowds, full disks, clocks that jump: others are served, nothing acknowledged is lost."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from crossaisle.serve.api.requests import schemas
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Store
from tests.serve.conftest import running, talk

EVENT = b'{"user":"zoe","item":"bread"}'


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answered(address: str) -> bool:
    with urllib.request.urlopen(f"{address}/api/recommend/ann", timeout=20) as answer:
        return bool(answer.status == 200)


def head(length: int, kind: str = "application/json") -> bytes:
    lines = (
        "POST /api/events HTTP/1.1",
        "host: localhost",
        f"content-type: {kind}",
        f"content-length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def rest_of(client: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    found = b""
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionError:  # closed while letters were still coming
        pass
    return found


HASTY = ApiLimits(body_seconds=0.2)


@pytest.fixture
def hasty(service: ShopService) -> Iterator[str]:
    with running(service, server=ServerLimits(check_seconds=0.05, head_seconds=0.2), limits=HASTY) as address:
        yield address


@pytest.mark.parametrize("said", [b"", b"GET /api/trending HTTP/1.1\r\nho"])
def test_a_client_that_sends_no_request_is_closed(hasty: str, said: bytes) -> None:
    with closing(connected(hasty)) as client:
        client.sendall(said)
        assert answered(hasty)
        assert rest_of(client) == b""


def test_a_client_that_sends_byte_by_byte_after_a_first_request_is_closed(hasty: str) -> None:
    with closing(connected(hasty)) as client:
        client.sendall(b"GET /api/trending HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /api/trending HTTP/1.1\r\nx-long: ")
        assert drops(client) == b""
        assert answered(hasty)


def drops(client: socket.socket) -> bytes:
    """Sends a byte at a time until the service answers or closes; returns the answer."""
    client.settimeout(0.02)
    for _ in range(1000):
        try:
            client.sendall(b"x")
            return client.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    raise AssertionError("the service listens for ever")


@pytest.mark.parametrize(
    ("path", "kind"), [("events", "application/json"), ("events", "application/x-ndjson"), ("recommend", "")]
)
def test_a_body_that_comes_too_slowly_is_refused(
    hasty: str, service: ShopService, path: str, kind: str
) -> None:
    with closing(connected(hasty)) as client:
        asked = head(5000, kind or "application/json").replace(b"/api/events", f"/api/{path}".encode())
        client.sendall(asked + EVENT)
        answer = drops(client)
        client.settimeout(20)
        answer += rest_of(client)
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b"at least 10,000 bytes a second" in answer
        assert answered(hasty)
    assert not service.live.of("zoe").items


def test_a_body_that_stops_is_not_waited_for_however_much_came_before(hasty: str) -> None:
    with closing(connected(hasty)) as client:
        client.sendall(head(2_000_000) + b" " * 1_000_000)  # worth 100 seconds
        start = time.monotonic()
        assert rest_of(client).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 10


def test_a_body_that_keeps_up_may_take_its_time(hasty: str, service: ShopService) -> None:
    lines = [b'{"user":"zoe","item":"bread","kind":"%s"}\n' % (b"k" * 60) for _ in range(60)]
    with closing(connected(hasty)) as client:
        client.sendall(head(sum(map(len, lines)), "application/x-ndjson"))
        start = time.monotonic()
        for line in lines:
            client.sendall(line)
            time.sleep(0.005)
        assert time.monotonic() - start > HASTY.body_seconds
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert len(service.live.of("zoe").items) == 60


def test_a_crowd_is_told_to_come_back(service: ShopService) -> None:
    with running(service, server=ServerLimits(max_connections=10)) as address, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(closing(connected(address)))
        for _ in range(50):  # those before may still be on their way in
            with closing(connected(address)) as client:
                client.sendall(b"GET /api/trending HTTP/1.1\r\nhost: localhost\r\n\r\n")
                answer = rest_of(client)
            if answer.startswith(b"HTTP/1.1 503"):
                break
        headers, body = answer.split(b"\r\n\r\n", 1)
        assert b"retry-after: 1" in headers
        assert json.loads(body)["status"] == 503
        stack.close()
        for _ in range(200):
            try:
                assert answered(address)
                return
            except urllib.error.HTTPError:
                time.sleep(0.02)
        raise AssertionError("nobody is let in again")


def test_a_full_disk_sheds_events_and_loses_none(service: ShopService) -> None:
    def limit(pages: int) -> None:
        # SQLite's own limit answers as a full disk does.
        connection = service.store.writer._connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count={pages}")

    async def conversation(client: httpx.AsyncClient) -> None:
        async def send(first: int) -> int:
            batch = [{"user": "u" * 200, "item": "bread", "key": f"k{first + n}"} for n in range(500)]
            answer = await client.post("/api/events", json=batch)
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                assert "nothing was kept" in answer.text or "could not be written" in answer.text
            return answer.status_code

        assert await send(0) == 200
        limit(1)  # not below what is there
        assert 503 in [await send(500 * n) for n in range(1, 4)]
        assert (await client.get("/api/recommend/ann")).status_code == 200
        assert (await client.get("/api/health/live")).status_code == 200
        kept = len(service.live.of("u" * 200).items)
        assert kept == sum(1 for _ in service.store.events())  # memory and disk agree
        limit(1_000_000)
        statuses = [await send(500 * n) for n in range(4)]  # as a client would, with the same keys
        assert statuses == [200] * 4

    talk(service, conversation)
    with closing(sqlite3.connect(service.store.path)) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT key) FROM events").fetchone() == (
            2000,
            2000,
        )


def test_times_far_away_are_refused_or_in_order(service: ShopService, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def send(item: str, when: object) -> int:
            body = {"user": "zoe", "item": item, "time": when}
            return (await client.post("/api/events", json=body)).status_code

        now = time.time()
        assert await send("cake", now + 80_000) == 200  # a clock that goes fast
        assert await send("bread", "1970-01-02T00:00:00Z") == 200
        assert await send("milk", now) == 200
        for far in (now + 90_000, 1e300, -1, "9999-12-31T23:59:59", "0001-01-01"):
            assert await send("soap", far) == 422
        assert service.live.of("zoe").items == ("bread", "milk", "cake")
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert (await client.get("/api/trending")).status_code == 200

    talk(service, conversation)


def test_a_clock_that_steps_back_loses_nothing(
    service: ShopService, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time

    async def conversation(client: httpx.AsyncClient) -> None:
        async def send(item: str, **more: object) -> None:
            answer = await client.post("/api/events", json={"user": "zoe", "item": item, **more})
            assert answer.json() == {"accepted": 1, "duplicates": 0}, answer.text

        now = real()
        clocks = (
            (0, "bread", "view"),
            (-3600, "butter", "favourite"),
            (-10 * 365 * 86_400, "jam", "cart"),
            (86_400, "soap", "purchase"),
        )
        for offset, item, kind in clocks:
            monkeypatch.setattr(time, "time", lambda offset=offset: now + offset)
            await send(item)  # stamped by the service
            await send("milk", time=now + 5, kind=kind)  # stamped by a client whose clock is right
            for path in ("/api/recommend/zoe", "/api/trending", "/api/users/zoe", "/metrics", "/api/console"):
                assert (await client.get(path)).status_code == 200
        monkeypatch.setattr(time, "time", real)
        # By the times of the events; equal times in the order of arrival.
        assert service.live.of("zoe").items == ("jam", "butter", "bread", *["milk"] * 4, "soap")

    talk(service, conversation)
    assert schemas.AHEAD == 86_400.0
    expected = service.live.of("zoe")[:2]
    service.close()
    with closing(Store(service.store.path)) as store:
        assert len(list(store.events())) == 8
    again = ShopService.open(model, service.store.path)
    try:
        assert again.live.of("zoe")[:2] == expected
    finally:
        again.close()
