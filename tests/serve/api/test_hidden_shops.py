"""Without a key of a shop nobody learns that it exists."""

from __future__ import annotations

from pathlib import Path

import httpx

from crossaisle.serve.store import api_keys
from crossaisle.serve.tenants import ShopRegistry, read_shops
from tests.serve.conftest import always_fresh, talk


def test_shops_cannot_be_listed_without_a_key(shops: ShopRegistry) -> None:
    token = api_keys.add_key(shops.services["north"].store, "ops", ["read"])

    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/api/trending", "/api/health/ready", "/api/health/live", "/metrics", "/api/nowhere"):
            for headers in ({}, {"x-api-key": "ca_of_nobody"}):
                answers = [
                    await client.get(path, headers={"x-shop": shop, **headers})
                    for shop in ("north", "south", "west", "")
                ]
                assert {one.status_code for one in answers} == {401}, path
                assert len({one.content for one in answers}) == 1
                assert len({repr(one.headers.raw) for one in answers}) == 1
        own = {"x-shop": "north", "x-api-key": token}
        assert (await client.get("/api/health/ready", headers=own)).json()["model"] == "a"
        assert (await client.get("/api/trending", headers={**own, "x-shop": "west"})).status_code == 401
        assert (await client.get("/api/health/ready")).json() == {"status": "ready"}

    talk(shops, conversation)


def test_shops_cannot_be_listed_while_one_is_broken_either(folder: Path) -> None:
    configs = read_shops(folder / "shops.toml")
    (folder / "south" / "models" / "b" / "config.json").unlink()
    shops = ShopRegistry.open(configs)
    assert set(shops.broken) == {"south"}
    token = api_keys.add_key(shops.services["north"].store, "ops", ["read"])

    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/api/trending", "/api/health/ready", "/api/health/live", "/metrics", "/api/nowhere"):
            for headers, status in (({}, 401), ({"x-api-key": "ca_of_nobody"}, 503)):
                said = set()
                for shop in ("north", "south", "west"):
                    answer = await client.get(path, headers={"x-shop": shop, **headers})
                    assert answer.status_code == status, (path, shop)
                    said.add((answer.text.replace(shop, "SHOP"), answer.headers.get("retry-after")))
                assert len(said) == 1
        own = {"x-shop": "north", "x-api-key": token}
        assert (await client.get("/api/trending", headers=own)).status_code == 200

    talk(shops, conversation)


def test_the_first_key_does_not_tell_whose_it_is(shops: ShopRegistry) -> None:
    always_fresh(*shops.services.values())
    api_keys.add_key(shops.services["north"].store, "ops", ["read"])
    api_keys.revoke_key(shops.services["north"].store, "ops")

    async def conversation(client: httpx.AsyncClient) -> None:
        async def asked() -> list[int]:
            names = ("west", "north", "south")
            return [(await client.get("/metrics", headers={"x-shop": name})).status_code for name in names]

        assert await asked() == [403] * 3
        api_keys.add_key(shops.services["south"].store, "ops", ["read"])
        assert await asked() == [401] * 3

    talk(shops, conversation)


def test_rates_of_shops_do_not_tell_which_there_are(shops: ShopRegistry) -> None:
    api_keys.add_key(shops.services["north"].store, "ops", ["read"])
    shops.rates["south"] = 1.0

    async def conversation(client: httpx.AsyncClient) -> None:
        for shop in ("south", "west", "north", "south") * 4:
            last = (await client.get("/api/trending", headers={"x-shop": shop})).status_code
            assert last == 401

    talk(shops, conversation, rate=1e6)
