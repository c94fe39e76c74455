"""Keys, scopes, limits and headers."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from crossaisle.cli import run as main
from crossaisle.errors import ConfigError, UnknownIdError
from crossaisle.serve import keys
from crossaisle.serve.service import Service
from tests.serve.conftest import talk


def test_scopes_open_what_they_say(service: Service) -> None:
    tokens = {name: keys.add_key(service.store, name, [name]) for name in keys.SCOPES}
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


def test_keys_come_and_go_while_it_runs(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FRESH_SECONDS", -1.0)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/trending")).status_code == 200
        token = keys.add_key(service.store, "shop", ["read"])
        assert (await client.get("/api/trending")).status_code == 401
        assert (await client.get("/api/trending", headers={"x-api-key": token})).status_code == 200
        keys.add_key(service.store, "other", ["read"])
        keys.revoke_key(service.store, "shop")
        assert (await client.get("/api/trending", headers={"x-api-key": token})).status_code == 401

    talk(service, conversation)
    with pytest.raises(UnknownIdError, match="no key named 'shop'"):
        keys.revoke_key(service.store, "shop")
    with pytest.raises(ConfigError, match="did you mean 'write'"):
        keys.add_key(service.store, "x", ["wirte"])
    with pytest.raises(ConfigError, match="a key named 'other' already"):
        keys.add_key(service.store, "other", ["read"])


def test_without_a_key_other_pages_are_kept_out(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/trending", headers={"host": "evil.example"})).status_code == 403
        event = {"user": "zoe", "item": "bread"}
        foreign = await client.post("/api/events", json=event, headers={"origin": "http://evil.example"})
        assert foreign.status_code == 403
        own = await client.post("/api/events", json=event, headers={"origin": "http://localhost"})
        assert own.status_code == 200

    talk(service, conversation)


def test_limits(service: Service) -> None:
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


def test_every_answer_has_security_headers_and_is_counted(service: Service) -> None:
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


def test_the_openapi_describes_every_endpoint(service: Service) -> None:
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
    assert main(["keys", "add", store, "shop", "--scope", "read", "--scope", "write"]) == 0
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
