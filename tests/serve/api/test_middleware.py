"""Keys, scopes and headers."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from crossaisle.cli import run as main
from crossaisle.errors import ConfigError, UnknownIdError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store import api_keys
from tests.serve.conftest import always_fresh, running, talk


def test_scopes_open_what_they_say(service: ShopService) -> None:
    tokens = {name: api_keys.add_key(service.store, name, [name]) for name in api_keys.SCOPES}
    event = {"user": "zoe", "item": "bread"}

    async def conversation(client: httpx.AsyncClient) -> None:
        async def status(method: str, path: str, scope: str | None, body: object = None) -> int:
            headers = {} if scope is None else {"authorization": f"Bearer {tokens[scope]}"}
            return (await client.request(method, path, headers=headers, json=body)).status_code

        assert await status("GET", "/api/health/live", None) == 200
        assert await status("GET", "/api/recommend/ann", None) == 401
        assert await status("GET", "/api/recommend/ann", "read") == 200
        assert await status("POST", "/api/recommend", "read", {"history": ["bread"]}) == 200
        assert await status("POST", "/api/events", "read", event) == 403
        assert await status("POST", "/api/events", "write", event) == 200
        assert await status("GET", "/api/users/ann", "read") == 403
        assert await status("GET", "/api/users/ann", "write") == 200
        assert await status("GET", "/api/models", "write") == 403
        assert await status("GET", "/metrics", None) == 401
        assert await status("GET", "/metrics", "admin") == 200
        assert await status("GET", "/api/console", "read") == 403
        assert await status("DELETE", "/api/users/ann", "admin") == 200
        assert await status("GET", "/api/audit", "write") == 403
        headers = {"x-api-key": tokens["admin"]}
        (line,) = (await client.get("/api/audit", headers=headers)).json()
        assert line["who"] == "admin"
        assert line["what"].startswith("deleted person ")
        assert "ann" not in line["what"]
        wrong = await client.get("/api/recommend/ann", headers={"x-api-key": tokens["read"] + "x"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == "Bearer"
        assert tokens["read"] not in wrong.text

    talk(service, conversation)
    assert tokens["read"].encode() not in service.store.path.read_bytes()


def test_keys_come_and_go_while_it_runs(service: ShopService) -> None:
    always_fresh(service)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/trending")).status_code == 200
        token = api_keys.add_key(service.store, "shop", ["read"])
        assert (await client.get("/api/trending")).status_code == 401
        assert (await client.get("/api/trending", headers={"x-api-key": token})).status_code == 200
        api_keys.add_key(service.store, "other", ["read"])
        api_keys.revoke_key(service.store, "shop")
        assert (await client.get("/api/trending", headers={"x-api-key": token})).status_code == 401

    talk(service, conversation)
    with pytest.raises(UnknownIdError, match="no key named 'shop'"):
        api_keys.revoke_key(service.store, "shop")
    with pytest.raises(ConfigError, match="did you mean 'write'"):
        api_keys.add_key(service.store, "x", ["wirte"])
    with pytest.raises(ConfigError, match="a key named 'other' already"):
        api_keys.add_key(service.store, "other", ["read"])


CROSS = {"sec-fetch-site": "cross-site"}
FOREIGN: list[dict[str, str | bytes]] = [
    *({"host": host} for host in ("evil.example", "[", "a]b", "[::1", "", "user@localhost", "localhost:x")),
    {"host": b"\xff"},
    *(
        {"origin": origin}
        for origin in ("http://evil.example", "http://[", "null", "", "http://localhost:3000")
    ),
    {"origin": b"\xff\xfe"},
    CROSS,
    {"sec-fetch-site": "same-site"},
    {**CROSS, "sec-fetch-mode": "navigate"},
    {"forwarded": "for=203.0.113.9"},
    *({name: "203.0.113.9"} for name in ("x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via")),
]


def test_without_a_key_pages_and_proxies_elsewhere_are_kept_out_of_reading_too(service: ShopService) -> None:
    event = {"user": "zoe", "item": "bread"}

    async def conversation(client: httpx.AsyncClient) -> None:
        for headers in FOREIGN:
            assert (await client.get("/api/recommend/ann", headers=headers)).status_code == 403, headers
            sent = await client.post("/api/events", json=event, headers=headers)
            assert sent.status_code == 403, headers
        assert not service.live.of("zoe").items
        through = await client.get("/", headers={"x-forwarded-for": "203.0.113.9"})
        assert "(x-forwarded-for): make a key" in through.json()["detail"]
        assert "--behind-proxy" in through.json()["detail"]
        for headers in ({"origin": "http://localhost"}, {"sec-fetch-site": "same-origin"}):
            assert (await client.post("/api/events", json=event, headers=headers)).status_code == 200
        # A link to a page may be followed; what the page then asks for is its own.
        link = {**CROSS, "sec-fetch-mode": "navigate"}
        for page in ("/", "/console"):
            assert (await client.get(page, headers=link)).status_code == 200
            assert (await client.get(page, headers=CROSS)).status_code == 403
        assert (await client.get("/api/shop", headers=link)).status_code == 403
        assert (await client.post("/", headers=link)).status_code == 403
        assert (await client.get("/api/trending", headers={"sec-fetch-site": "none"})).status_code == 200

    talk(service, conversation)


@pytest.mark.parametrize("keyed", [False, True])
def test_a_proxy_that_adds_no_header_is_known_by_its_old_http(service: ShopService, keyed: bool) -> None:
    token = api_keys.add_key(service.store, "ops", ["admin"]) if keyed else ""
    with running(service, proxies=["127.0.0.1"] if keyed else []) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            lines = ["GET /api/users/ann HTTP/1.0", f"host: {host}:{port}", "connection: close"]
            client.sendall("\r\n".join([*lines, *[f"x-api-key: {token}"] * keyed, "", ""]).encode())
            with client.makefile("rb") as file:
                said = file.read()
    if keyed:
        assert said.startswith(b"HTTP/1.1 200")
    else:
        assert b"refuses requests through a proxy (HTTP/1.0): make a key" in said


def test_it_is_said_why_keys_could_not_be_read_again(
    service: ShopService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service.store.limits = StoreLimits(fresh_key_seconds=-1.0, key_wait_seconds=0.01)
    known = api_keys.Keys(service.store)
    monkeypatch.setattr(known, "read", lambda: time.sleep(0.1))
    asyncio.run(known.fresh())
    assert "keys could not be read again: no answer within 0.01 s" in caplog.text


def test_odd_hosts_are_no_error_with_keys_either(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        for host in ("[", "a]b", "evil.example", "http://["):
            headers = {"host": host, "x-api-key": token}
            assert (await client.get("/api/trending", headers=headers)).status_code == 200
            assert (await client.put("/api/trending", headers=headers)).status_code == 405

    talk(service, conversation)


def test_no_answer_leads_to_where_the_host_header_says(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        headers = {"host": "evil.example", "x-api-key": token}
        for path in ("/metrics/", "/api/trending/", "/api/items/bread/", "/page", "/page/"):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 404, path
            assert "location" not in answer.headers

    talk(service, conversation)


def test_wrong_keys_are_counted_by_address_and_right_ones_by_key(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "ops", ["read"])

    async def conversation(client: httpx.AsyncClient) -> None:
        async def status(key: str) -> int:
            return (await client.get("/api/trending", headers={"x-api-key": key})).status_code

        wrong = [await status(f"ca_{n}") for n in range(10)]
        assert wrong[:4] == [401] * 4
        assert wrong[-1] == 429
        assert await status(token) == 200  # who shares an address with a stranger is still served
        assert [await status(token) for _ in range(10)][-1] == 429

    talk(service, conversation, rate=2.0)


def test_health_names_model_and_store_to_who_may_read_only(service: ShopService) -> None:
    tokens = {scope: api_keys.add_key(service.store, scope, [scope]) for scope in api_keys.SCOPES}

    async def conversation(client: httpx.AsyncClient) -> None:
        async def ready(token: str) -> object:
            return (await client.get("/api/health/ready", headers={"x-api-key": token})).json()

        assert (await client.get("/api/health/ready")).json() == {"status": "ready"}
        for token in (tokens["write"], "ca_of_nobody"):
            assert await ready(token) == {"status": "ready"}
        for scope in ("read", "admin"):
            assert await ready(tokens[scope]) == {"status": "ready", "model": "a", "store": "up"}

    talk(service, conversation)


def test_every_answer_has_security_headers_and_is_counted(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/", "/api/trending", "/api/items/ghost", "/nowhere"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "access-control-allow-origin" not in answer.headers
        text = (await client.get("/metrics")).text
        assert 'crossaisle_requests_total{route="/api/trending",status="200"} 1' in text
        assert 'crossaisle_requests_total{route="/api/items/{item}",status="404"} 1' in text
        assert 'crossaisle_request_seconds_bucket{route="/api/trending",le="+Inf"} 1' in text

    talk(service, conversation)


def test_every_refusal_has_security_headers_and_is_counted(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "reader", ["read"])

    async def conversation(client: httpx.AsyncClient) -> None:
        own = {"x-api-key": token}
        refused = [
            *(await client.get("/api/trending"), await client.get("/metrics", headers=own)),
            *(await client.get("/api/nowhere", headers=own), await client.get("/nowhere")),
            await client.post("/api/recommend", headers=own, content=b"x" * 2000),
            await client.post("/api/recommend", headers={**own, "content-type": "x/y"}, content=b"{}"),
            *[await client.get("/api/trending") for _ in range(8)][-1:],
        ]
        assert [answer.status_code for answer in refused] == [401, 403, 404, 404, 413, 415, 429]
        for answer in refused:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            under_api = answer.request.url.path.startswith("/api/")
            assert answer.headers.get("cache-control") == ("no-store" if under_api else None)

    talk(service, conversation, rate=3.0, largest_body=1000)
    counted = {status for _, status in service.metrics.requests}
    assert counted == {401, 403, 404, 413, 415, 429}


def test_the_openapi_describes_every_endpoint(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        described = (await client.get("/openapi.json")).json()
        operations = [op for path in described["paths"].values() for op in path.values()]
        assert len(operations) >= 20
        assert all(op["description"] for op in operations)
        body = described["paths"]["/api/events"]["post"]["requestBody"]["content"]
        assert set(body) == {"application/json", "application/x-ndjson"}
        json.dumps(described)

    talk(service, conversation)


def test_keys_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "s.sqlite")
    assert main(["keys", "add", store, "shop", "--scope", "read"]) == 2
    assert not Path(store).exists()
    assert main(["keys", "add", store, "shop", "--create", "--scope", "read", "--scope", "write"]) == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("ca_")
    assert main(["keys", "list", store]) == 0
    listed = capsys.readouterr().out
    assert "read,write" in listed
    assert token not in listed
    assert main(["keys", "revoke", store, "shop"]) == 0
    assert main(["keys", "revoke", store, "shop"]) == 1


def test_a_mistyped_store_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["keys", "list"], ["keys", "revoke"]):
        store = tmp_path / "mistyped.sqlite"
        assert main([*command, str(store), *(["webshop"] if "revoke" in command else [])]) == 2
        assert "no such store" in capsys.readouterr().err
        assert not store.exists()


def test_head_is_get_without_its_body(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/", "/api/health/live", "/api/categories"):
            full, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(full.content))
        assert (await client.head("/api/nowhere")).status_code == 404
        assert (await client.head("/api/trending")).status_code == 405, "a list would count as shown"

    talk(service, conversation)
