"""Totals over HTTP: counted, kept over a restart, added up over workers, without anybody's name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Store
from crossaisle.serve.store.totals import TotalsTable
from tests.serve.conftest import talk


async def follow_a_list(client: httpx.AsyncClient) -> str:
    """Ann looks at a list twice, clicks, puts in the cart and buys two; the item."""
    for _ in range(2):
        answer = (await client.get("/api/recommend/ann?n=3")).json()
    item: str = answer["items"][0]["item_id"]
    for kind in ("view", "view", "cart"):
        await client.post("/api/events", json={"user": "ann", "item": item, "kind": kind})
    bought = {"user": "ann", "item": item, "kind": "purchase", "quantity": 2, "value": 1.5}
    await client.post("/api/events", json=bought)
    await client.post("/api/events", json={"user": "bob", "item": item, "kind": "purchase"})
    return item


def test_totals_are_counted_and_survive_a_restart(model: Path, place: str | Path) -> None:
    service = ShopService.open(model, place)

    async def first(client: httpx.AsyncClient) -> None:
        await follow_a_list(client)
        answer = (await client.get("/api/console/totals?days=1")).json()
        [row] = answer["lists"]
        assert row == {
            **{"day": answer["today"], "placement": "for_you", "experiment": "", "arm": ""},
            **{"lists": 1.0, "clicks": 1.0, "carts": 1.0, "purchases": 1.0, "revenue": 3.0},
        }
        by_role = {one["role"]: (one["events"], one["value"]) for one in answer["events"]}
        assert by_role == {"view": (2, 0.0), "cart": (1, 0.0), "purchase": (2, 3.0)}
        await client.delete("/api/users/ann")

    talk(service, first)
    service.close()
    with Store(place).reading() as connection:
        names = connection.execute("SELECT name, value FROM meta WHERE name LIKE 'totals %'").fetchall()
    assert len(names) == 1
    assert "ann" not in bytes(names[0][1]).decode()
    again = ShopService.open(model, place)

    async def second(client: httpx.AsyncClient) -> None:
        await client.get("/api/recommend/bob?n=3")
        [row] = (await client.get("/api/console/totals?days=1")).json()["lists"]
        assert (row["lists"], row["purchases"], row["revenue"]) == (2.0, 1.0, 3.0)

    talk(again, second)
    again.close()


def test_workers_add_up(model: Path, place: str | Path) -> None:
    service = ShopService.open(model, place)
    cells = [[["for_you", "", ""], {"lists": 5, "clicks": 2, "carts": 0, "purchases": 0, "revenue": 0}]]

    async def conversation(client: httpx.AsyncClient) -> None:
        today = (await client.get("/api/console/totals")).json()["today"]
        other = TotalsTable(service.store, worker=3)
        await asyncio.wrap_future(other.put({today: json.dumps(cells), today - 40: json.dumps(cells)}))
        await follow_a_list(client)
        lists = (await client.get("/api/console/totals?days=30")).json()["lists"]
        assert sum(row["lists"] for row in lists) == 6
        lists = (await client.get("/api/console/totals?days=60")).json()["lists"]
        assert sum(row["lists"] for row in lists) == 11

    talk(service, conversation)
    service.close()


def test_arms_of_an_experiment_are_told_apart(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        arms = [{"name": "as-it-is"}, {"name": "varied", "controls": {"diversity": 0.5}}]
        await client.post("/api/experiments", json={"name": "variety", "arms": arms})
        await follow_a_list(client)
        [row] = (await client.get("/api/console/totals")).json()["lists"]
        assert row["experiment"] == "variety"
        assert row["arm"] in ("as-it-is", "varied")
        assert row["purchases"] == 1

    talk(service, conversation)


def test_a_look_of_the_console_is_no_list_shown(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await follow_a_list(client)
        seen = (await client.post("/api/console/visitor", json={"user": "ann", "n": 3})).json()
        assert seen["known"]
        newest = seen["past"][0]
        assert newest["roles"] == ["purchase", "cart", "view"]
        assert newest["times"] >= 4
        assert seen["list"]["placement"] == "for_you"
        assert len(seen["list"]["items"]) == 3
        unknown = (await client.post("/api/console/visitor", json={"user": "who"})).json()
        assert not unknown["known"]
        assert unknown["interests"] == []
        assert unknown["list"]["served"] == "trending"
        assert sum(r["lists"] for r in (await client.get("/api/console/totals")).json()["lists"]) == 1

    talk(service, conversation)
