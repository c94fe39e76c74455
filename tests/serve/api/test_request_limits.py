"""Sizes, times and rates of requests, and clients that leave."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from crossaisle.serve.api.app import create_app
from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.api.rate_limit import RateLimit
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store import api_keys
from tests.serve.conftest import running, talk


def test_a_client_that_goes_away_amid_its_body_is_no_error(
    service: ShopService, caplog: pytest.LogCaptureFixture
) -> None:
    paths = ("/api/events", "/api/items", "/api/recommend", "/api/models/activate")
    asked = [*((path, "application/json") for path in paths), ("/api/events", "application/x-ndjson")]
    with running(service) as address, httpx.Client(base_url=address) as client:
        host, port = address.removeprefix("http://").split(":")
        for path, kind in asked:
            with socket.create_connection((host, int(port)), timeout=20) as going:
                head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n"
                going.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
        for _ in range(500):
            text = client.get("/metrics").text
            if sum(map(int, re.findall(r'status="499"} (\d+)', text))) == len(asked):
                break
            time.sleep(0.01)
        else:
            raise AssertionError(text)
    assert 'status="5' not in text
    assert "Traceback" not in caplog.text
    assert not caplog.records


def test_who_is_still_waiting_when_the_service_ends_is_told_to_ask_again(service: ShopService) -> None:
    said: list[dict[str, Any]] = []

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            raise AssertionError

        async def send(message: Any) -> None:
            said.append(message)

        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", b"100"),
        ]
        scope = {"type": "http", "method": "POST", "path": "/api/events", "raw_path": b"/api/events"}
        scope |= {"headers": headers, "client": ("127.0.0.1", 1), "query_string": b"", "http_version": "1.1"}
        asked = asyncio.ensure_future(create_app(service)(scope, receive, send))
        for _ in range(10):
            await asyncio.sleep(0)
        asked.cancel()
        await asked

    asyncio.run(run())
    assert said[0]["status"] == 503
    assert (b"retry-after", b"1") in said[0]["headers"]
    assert b"the service is shutting down" in said[1]["body"]


def test_bodies_of_all_clients_together_have_a_limit(service: ShopService) -> None:
    reached = asyncio.Event()

    async def conversation(client: httpx.AsyncClient) -> None:
        async def waiting() -> AsyncIterator[bytes]:
            yield b" " * 2000
            await reached.wait()
            yield b'{"user": "zoe", "item": "bread"}'

        kind = {"content-type": "application/json"}
        first = asyncio.create_task(client.post("/api/events", content=waiting(), headers=kind))
        for _ in range(10):
            await asyncio.sleep(0)
        second = await client.post("/api/events", content=b" " * 2000, headers=kind)
        assert second.status_code == 503
        assert second.headers["retry-after"]
        reached.set()
        assert (await first).status_code == 200
        event = {"user": "zoe", "item": "bread", "kind": "k" * 60}
        assert (await client.post("/api/events", json=event)).status_code == 200

    talk(service, conversation, limits=ApiLimits(all_bodies_bytes=3000))


def test_one_client_does_not_take_the_room_for_bodies_of_all(service: ShopService) -> None:
    limits = ApiLimits(all_bodies_bytes=8000, client_bodies_bytes=3000)
    tokens = {name: api_keys.add_key(service.store, name, ["write"]) for name in ("a", "b")}
    reached = asyncio.Event()

    async def conversation(client: httpx.AsyncClient) -> None:
        async def waiting() -> AsyncIterator[bytes]:
            yield b" " * 1400
            await reached.wait()
            yield b'{"user": "zoe", "item": "bread"}'

        async def sent(name: str, content: Any) -> httpx.Response:
            headers = {"content-type": "application/json", "x-api-key": tokens[name]}
            return await client.post("/api/events", content=content, headers=headers)

        first = [asyncio.create_task(sent("a", waiting())) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        event = b'{"user": "zoe", "item": "bread"}' + b" " * 1000
        refused = await sent("a", event)
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        assert (await sent("b", event)).status_code == 200
        reached.set()
        assert [one.status_code for one in await asyncio.gather(*first)] == [200, 200]
        assert (await sent("a", event)).status_code == 200

    talk(service, conversation, limits=limits)


def test_limits(service: ShopService) -> None:
    async def big(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/events", content=b"x" * 1001)
        assert answer.status_code == 413

        async def chunks() -> object:
            for _ in range(20):
                yield b'{"user": "zoe", "item": "bread"}\n' * 10

        kind = {"content-type": "application/x-ndjson"}
        assert (await client.post("/api/events", content=chunks(), headers=kind)).status_code == 413

    talk(service, big, largest_body=1000)

    async def fast(client: httpx.AsyncClient) -> None:
        statuses = [(await client.get("/api/health/live")).status_code for _ in range(10)]
        assert statuses[:4] == [200] * 4
        assert statuses[-1] == 429

    talk(service, fast, rate=2.0)


def test_the_rate_of_a_client_is_dropped_once_others_came_later() -> None:
    limit = RateLimit(0.5, clients=2)
    limit.count("a")
    with pytest.raises(RefusedError, match=r"more than 0\.5 requests per second"):
        limit.count("a")
    limit.count("b")
    limit.count("c")
    limit.count("a")  # as if it were new
    unlimited = RateLimit(None, clients=1)
    for _ in range(100):
        unlimited.count("a")
