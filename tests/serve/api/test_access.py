"""Whether a key is needed is decided at the start; whose address counts is decided by the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.cli import run as main
from crossaisle.errors import ConfigError
from crossaisle.serve.api.access import Proxies, address_of, keyless
from crossaisle.serve.api.app import create_app
from crossaisle.serve.server.launch import serve
from crossaisle.serve.service import ShopService
from crossaisle.serve.store import api_keys
from crossaisle.serve.store.store import Store
from crossaisle.serve.tenants import ShopRegistry, read_shops
from tests.serve.conftest import always_fresh, running, talk

CLOSED = "no API key is in use, all requests are refused: run  crossaisle keys add STORE NAME"


@pytest.fixture
def service(service: ShopService) -> ShopService:
    always_fresh(service)
    return service


@pytest.fixture
def shops(shops: ShopRegistry) -> ShopRegistry:
    always_fresh(*shops.services.values())
    return shops


def without_rows(store: Store) -> None:
    """As if another store lay there now."""
    store.submit(lambda connection: connection.execute("DELETE FROM api_keys")).result()


async def refused(client: httpx.AsyncClient, **headers: str) -> None:
    for method, path in (
        ("GET", "/api/users/ann"),
        ("GET", "/metrics"),
        ("GET", "/api/audit"),
        ("DELETE", "/api/users/ann"),
    ):
        answer = await client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (403, CLOSED), path
    assert (await client.get("/api/health/ready")).json() == {"status": "ready"}


def test_revoking_the_last_key_opens_nothing(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics", headers={"x-api-key": token})).status_code == 200
        api_keys.revoke_key(service.store, "ops")
        await refused(client)
        await refused(client, **{"x-api-key": token})
        again = api_keys.add_key(service.store, "ops", ["admin"])
        assert (await client.get("/metrics", headers={"x-api-key": again})).status_code == 200

    talk(service, conversation)


def test_a_store_without_keys_put_in_its_place_opens_nothing(service: ShopService) -> None:
    api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).status_code == 401
        without_rows(service.store)
        await refused(client)

    talk(service, conversation)


def test_a_key_made_and_revoked_between_two_looks_closes_an_open_service(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).status_code == 200
        api_keys.add_key(service.store, "ops", ["admin"])
        api_keys.revoke_key(service.store, "ops")
        await refused(client)
        without_rows(service.store)
        await refused(client)

    talk(service, conversation)
    talk(service, _is_open)  # after a restart: no key was ever made in this store


async def _is_open(client: httpx.AsyncClient) -> None:
    assert (await client.get("/metrics")).status_code == 200


def test_a_restart_with_revoked_keys_only_opens_nothing(service: ShopService) -> None:
    api_keys.add_key(service.store, "ops", ["admin"])
    api_keys.revoke_key(service.store, "ops")
    talk(service, refused)


def test_several_shops_stay_closed_when_the_last_key_of_all_is_revoked(shops: ShopRegistry) -> None:
    for service in shops.services.values():
        api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        async def status(shop: str) -> int:
            return (await client.get("/api/users/ann", headers={"x-shop": shop})).status_code

        assert [await status(shop) for shop in ("north", "south", "west")] == [401] * 3
        api_keys.revoke_key(shops.services["north"].store, "ops")
        assert [await status(shop) for shop in ("north", "south", "west")] == [401] * 3
        api_keys.revoke_key(shops.services["south"].store, "ops")
        # Keys of a shop are read again when somebody asks for it.
        assert [await status(shop) for shop in ("south", "north", "west")] == [403] * 3

    talk(shops, conversation)


def test_a_shop_that_cannot_be_read_may_hold_keys(folder: Path) -> None:
    (folder / "south" / "models" / "b.sqlite").mkdir(parents=True)
    with closing(ShopRegistry.open(read_shops(folder / "shops.toml"))) as shops:
        assert list(shops.broken) == ["south"]
        with shops.stores() as stores:
            assert stores[1:] == [None]
            assert not keyless("127.0.0.1", (), stores)


def test_on_another_address_or_behind_a_proxy_a_key_must_be_in_use(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s.sqlite")) as store:
        for _ in range(2):
            with pytest.raises(
                ConfigError, match=r"0\.0\.0\.0 can be reached by others .* crossaisle keys add"
            ):
                keyless("0.0.0.0", (), [store])
            with pytest.raises(
                ConfigError, match=r"--behind-proxy lets others in .* crossaisle keys add .* leave"
            ):
                keyless("127.0.0.1", ("127.0.0.1",), [store])
            api_keys.add_key(store, "ops", ["admin"])
            api_keys.revoke_key(store, "ops")
        api_keys.add_key(store, "ops", ["admin"])
        assert not keyless("0.0.0.0", (), [store])
        assert not keyless("127.0.0.1", ("127.0.0.1",), [store])


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_refuses_a_proxy_without_a_key(model: Path, tmp_path: Path, workers: int) -> None:
    with pytest.raises(ConfigError, match="--behind-proxy lets others in"):
        serve(model, store=tmp_path / "s.sqlite", behind_proxy=["127.0.0.1"], workers=workers)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("localhost", "not an address or a network such as 127.0.0.1"),
        ("10.0.0.5/8", "host bits set"),
        ("0.0.0.0/0", "this trusts every address"),
        ("::/0", "this trusts every address"),
    ],
)
def test_proxies_that_are_refused(given: str, says: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--behind-proxy {given}: .*{says}"):
        serve(model, store=tmp_path / "s.sqlite", behind_proxy=[given])


def test_the_command_takes_proxies(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["serve", str(model), "--store", str(tmp_path / "s.sqlite"), "--behind-proxy", "127.0.0.1"]
    assert main(command) == 2
    assert "--behind-proxy lets others in and the store has no API key" in capsys.readouterr().err
    assert main([*command, "--behind-proxy", "proxy.example"]) == 2
    assert "--behind-proxy proxy.example: not an address or a network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trusted", "peer", "header", "counts"),
    [
        ((), "127.0.0.1", b"203.0.113.9", "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", b"203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "127.0.0.1", b"6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "::ffff:127.0.0.1", b"203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "10.0.0.5", b"203.0.113.9", "10.0.0.5"),
        (("10.0.0.0/24", "::1"), "10.0.0.5", b"2001:DB8::1", "2001:db8::1"),
        (("10.0.0.0/24", "::1"), "::1", b"::ffff:203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/24",), "10.0.1.5", b"203.0.113.9", "10.0.1.5"),
        (("127.0.0.1",), "127.0.0.1", b"key 'operator' (10.1.1.1)", "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", b"fe80::1%key 'operator'", "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", b"203.0.113.9,", "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", b"1" * 60_000, "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", b"\xff", "127.0.0.1"),
    ],
)
def test_only_the_last_hop_of_a_trusted_proxy_is_believed(
    trusted: Sequence[str], peer: str, header: bytes, counts: str
) -> None:
    scope: dict[str, Any] = {"client": (peer, 1)}
    assert Proxies(trusted).client(scope, {b"x-forwarded-for": header}) == counts
    assert scope["client"][0] == counts
    assert Proxies(trusted).client({"client": (peer, 1)}, {}) == peer


def test_addresses() -> None:
    assert str(address_of("::ffff:127.0.0.1")) == "127.0.0.1"
    assert address_of("localhost") is None
    assert address_of("") is None


def test_behind_a_proxy_rates_and_audit_go_by_the_address_it_names(service: ShopService) -> None:
    token = api_keys.add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        async def status(address: str) -> int:
            headers = {"x-forwarded-for": address}
            return (await client.get("/api/trending", headers=headers)).status_code

        assert [await status("203.0.113.9") for _ in range(6)][-1] == 429
        assert await status("203.0.113.10") == 401
        assert await status("203.0.113.10, 203.0.113.9") == 429
        own = {"x-api-key": token, "x-forwarded-for": "203.0.113.9"}
        assert (await client.get("/api/trending", headers=own)).status_code == 200

    talk(service, conversation, proxies=["127.0.0.1"], rate=2.0)


def test_without_the_option_a_made_up_address_passes_no_rate(service: ShopService) -> None:
    api_keys.add_key(service.store, "ops", ["admin"])
    with running(service, rate=2.0) as address, httpx.Client(base_url=address) as client:
        statuses = [
            client.get("/api/trending", headers={"x-forwarded-for": f"10.0.0.{n}"}).status_code
            for n in range(10)
        ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_others_than_this_machine_need_a_key(service: ShopService) -> None:
    async def run() -> None:
        for peer, status in (("127.0.0.1", 200), ("::1", 200), ("10.0.0.9", 403), ("203.0.113.9", 403)):
            transport = httpx.ASGITransport(app=create_app(service), client=(peer, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                answer = await client.get("/api/trending")
                assert answer.status_code == status
                assert status == 200 or "only answers this machine" in answer.text

    asyncio.run(run())


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "X-Shop", "Origin", "Idempotency-Key"])
def test_what_says_who_asks_is_given_once(service: ShopService, name: str) -> None:
    token = api_keys.add_key(service.store, "page", ["read", "write"])
    value = f"Bearer {token}" if name == "Authorization" else token

    async def conversation(client: httpx.AsyncClient) -> None:
        headers = [("x-api-key", token)] if name not in ("X-API-Key", "Authorization") else []
        given = httpx.Headers([*headers, (name, value), (name.lower(), "Bearer other")])
        answer = await client.get("/api/recommend/ann", headers=given)
        assert answer.status_code == 400
        assert answer.json()["detail"] == f"the header {name} is given twice: send it once"
        assert (await client.get("/api/recommend/ann", headers={"x-api-key": token})).status_code == 200

    talk(service, conversation)
