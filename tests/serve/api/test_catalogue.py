"""What a page needs of the catalogue: search, the tree of categories, the shop, and what lists carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.conftest import fitted, talk


def test_browsing_sorts_and_filters(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def ids(query: str) -> list[str]:
            answer = await client.get(f"/api/items?{query}")
            assert answer.status_code == 200, answer.text
            return [one["item_id"] for one in answer.json()["items"]]

        assert await ids("sort=price&n=3") == ["milk", "rolls", "bread"]
        assert (await ids("sort=price"))[-1] == (await ids("sort=-price"))[-1] == "honey"  # no price
        assert await ids("sort=-price&n=1") == ["cake"]
        assert set(await ids("min_price=3&max_price=4")) == {"butter", "jam"}
        assert await ids("q=bred&sort=title") == ["rolls", "new", "bread"]
        assert await ids("q=mill&category=Bakery&max_price=1.5") == ["rolls"]
        await client.patch("/api/items/milk", json={"in_stock": False})
        assert await ids("q=milk") == ["milk"]
        assert await ids("q=milk&in_stock=true") == []
        answer = (await client.get("/api/items?q=bred")).json()
        assert (answer["read_as"], answer["complete"]) == ("bread", True)
        assert (await client.get("/api/items?sort=best+first")).status_code == 422
        # A new title is found at once, an old one no more.
        await client.patch("/api/items/milk", json={"title": "Oat drink"})
        assert await ids("q=oats") == ["milk"]

    talk(service, conversation)


def test_the_tree_of_categories(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        top = {one["name"]: one["items"] for one in (await client.get("/api/categories")).json()}
        whole = {one["name"]: one["items"] for one in (await client.get("/api/categories?tree=true")).json()}
        assert top == {"Bakery": 4, "Dairy": 3, "Pantry": 2, "Household": 1}
        assert whole == top | {
            **{"Bakery > Bread": 3, "Bakery > Cakes": 1, "Dairy > Butter": 1, "Dairy > Milk": 1},
            **{"Dairy > Cheese": 1, "Pantry > Spreads": 2, "Household > Cleaning": 1},
        }
        await client.put("/api/items/soda", json={"title": "Soda", "categories": [["Drinks"]]})
        await client.delete("/api/items/cake")
        whole = {one["name"]: one["items"] for one in (await client.get("/api/categories?tree=true")).json()}
        assert whole["Drinks"] == 1
        assert whole["Bakery"] == 3
        assert "Bakery > Cakes" not in whole

    talk(service, conversation)


def test_lists_carry_what_a_page_shows(shop: Dataset, tmp_path: Path) -> None:
    fitted(replace(shop, currency="EUR")).save(tmp_path / "model")
    service = ShopService.open(tmp_path / "model", tmp_path / "s.sqlite", image_hosts=["img.example.com"])
    fields = {"image": "https://img.example.com/b.jpg", "url": "https://shop.example.com/bread"}

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.patch("/api/items/bread", json=fields)).status_code == 200
        answer = (await client.get("/api/recommend/ann?placement=buy_again&n=10")).json()
        found = {one["item_id"]: one for one in answer["items"]}
        assert found["bread"] | fields == found["bread"]
        assert (found["bread"]["brand"], found["bread"]["currency"]) == ("Mill", "EUR")
        assert (found["butter"]["image"], found["butter"]["url"]) == (None, None)
        item = (await client.get("/api/items/bread")).json()
        assert item | fields == item
        assert item["currency"] == "EUR"
        about = (await client.get("/api/shop")).json()
        assert set(about.pop("examples")) <= {"ann", "bob", "cid", "dee", "eve"}
        assert about == {
            **{"name": "tiny", "currency": "EUR", "items": 10, "categories": True},
            "scopes": ["read", "write", "admin"],
        }
        bad = await client.patch("/api/items/bread", json={"url": "javascript:alert(1)"})
        assert bad.status_code == 422

    talk(service, conversation)
    service.close()


def test_a_price_is_told_in_its_own_currency(shop: Dataset, tmp_path: Path) -> None:
    codes = ["CHF" if item == "butter" else "EUR" for item in shop.item_ids.all]
    mixed = replace(shop, items=shop.items.with_columns(currency=pl.Series(codes)))
    fitted(mixed).save(tmp_path / "model")
    service = ShopService.open(tmp_path / "model", tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        for _ in range(2):
            answer = (await client.get("/api/recommend/ann?placement=buy_again&n=10")).json()
            found = {one["item_id"]: one["currency"] for one in answer["items"]}
            assert (found["bread"], found["butter"]) == ("EUR", "CHF")
            assert (await client.get("/api/items/butter")).json()["currency"] == "CHF"
            assert (await client.patch("/api/items/butter", json={"price": 4.0})).status_code == 200

    talk(service, conversation)
    service.close()


@pytest.mark.parametrize(
    ("given", "scopes"), [(["read"], ["read"]), (["read", "write"], ["read", "write"]), (["admin"], None)]
)
def test_the_shop_says_what_a_key_may_do(
    service: ShopService, given: list[str], scopes: list[str] | None
) -> None:
    key = {"authorization": f"Bearer {add_key(service.store, 'one', given)}"}

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/shop")).status_code == 401
        answer = (await client.get("/api/shop", headers=key)).json()
        assert answer["scopes"] == (scopes or ["read", "write", "admin"])
        # Names of users are for those who may read everything.
        assert bool(answer["examples"]) == (scopes is None)
        if scopes is None:
            known = answer["examples"]
            await client.delete(f"/api/users/{known[0]}", headers=key)
            answer = (await client.get("/api/shop", headers=key)).json()
            assert known[0] not in answer["examples"]

    talk(service, conversation)


def test_categories_to_compare_are_chosen(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        query = {"categories": ["Dairy", "Bakery", "Nowhere", "Dairy"]}
        answer = (await client.get("/api/console/links", params=query)).json()
        assert answer["names"] == ["Dairy", "Bakery"]
        every = (await client.get("/api/console/links")).json()
        at = [every["names"].index(name) for name in ("Dairy", "Bakery")]
        assert answer["lift"][0][1] == every["lift"][at[0]][at[1]]

    talk(service, conversation)


def test_the_console_counts_others_only(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/api/console", "/api/console/totals", "/metrics", "/api/health/live", "/", "/console"):
            assert (await client.get(path)).status_code == 200
        load = (await client.get("/api/console")).json()["load"]
        assert (load["requests"], load["minutes"]) == (0, [])
        for _ in range(3):
            await client.get("/api/recommend/ann")
        load = (await client.get("/api/console")).json()["load"]
        assert load["requests"] == 3
        assert sum(minute["requests"] for minute in load["minutes"]) == 3
        assert 0 < load["minutes"][0]["p50"] <= load["minutes"][0]["p95"]
        assert (
            'route="/api/console",status="200"' in (await client.get("/metrics")).text
        )  # Prometheus has all

    talk(service, conversation)
