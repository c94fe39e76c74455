"""The catalogue while it is served, and people: what is told holds in the next answer."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from crossaisle.serve.service import Service
from tests.serve.conftest import talk

RYE = {"title": "Rye bread with seeds", "categories": [["Bakery", "Bread"]], "price": 3.0}


async def ids(client: httpx.AsyncClient, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return [r["item_id"] for r in answer.json()["items"]]


def test_a_new_item_is_recommendable_at_once(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/rye", json=RYE)
        assert put.status_code == 201
        assert put.json()["category"] == "Bakery > Bread"
        assert "rye" in await ids(client, "/api/items/bread/similar")
        assert "new" in await ids(client, "/api/items/rye/similar?explain=true")
        assert "rye" in await ids(client, "/api/recommend/bob?include=Bread&exclude_seen=false")
        assert await ids(client, "/api/items?q=seeds") == ["rye"]
        # As part of a history, too.
        await client.post("/api/events", json={"user": "zoe", "item": "rye"})
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert (await client.put("/api/items/rye", json=RYE)).status_code == 200

    talk(service, conversation)


def test_scores_of_known_items_do_not_move(service: Service) -> None:
    histories = service.shop.base._stored
    before = service.shop.base.score_batch(histories)

    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/items", json=[{"id": f"rye{n}", **RYE} for n in range(3)])
        after = service.shop.score_batch(histories)
        assert after.shape == (len(before), before.shape[1] + 3)
        np.testing.assert_array_equal(after[:, : before.shape[1]], before)
        new = after[:, -1]
        assert np.isfinite(new).any()
        assert (new[np.isfinite(new)] <= np.nanmax(before, axis=1)[np.isfinite(new)] + 1e-6).all()

    talk(service, conversation)


def test_an_explanation_of_a_new_item_names_what_it_is_like(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json=RYE)
        answer = (await client.get("/api/items/bread/similar?explain=true")).json()
        (rye,) = [r for r in answer["items"] if r["item_id"] == "rye"]
        assert rye["why"].startswith("New, and like ")

    talk(service, conversation)


def test_price_and_stock_hold_at_once(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert "butter" in await ids(client, "/api/items/bread/goes-with")
        await client.patch("/api/items/butter", json={"price": 99.0})
        body = {"placement": "goes_with", "items": ["bread"], "max_price": 50}
        answer = (await client.post("/api/recommend", json=body)).json()
        assert "butter" not in [r["item_id"] for r in answer["items"]]
        assert (await client.get("/api/items/butter")).json()["price"] == 99.0
        await client.patch("/api/items/butter", json={"in_stock": False})
        assert "butter" not in await ids(client, "/api/items/bread/goes-with")
        assert (await client.get("/api/items/butter")).json()["price"] == 99.0
        await client.patch("/api/items/butter", json={"in_stock": True, "categories": [["Bakery", "Bread"]]})
        assert "butter" not in await ids(client, "/api/items/bread/goes-with")  # the same category now

    talk(service, conversation)


def test_deleted_items_are_in_no_list(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.delete("/api/items/butter")).status_code == 204
        assert (await client.get("/api/items/butter")).status_code == 404
        for path in ("/api/recommend/eve?sold_out=true", "/api/trending", "/api/items"):
            assert "butter" not in await ids(client, path)
        assert (await client.delete("/api/items/ghost")).status_code == 404

    talk(service, conversation)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give a title, or an image in its place"),
        ({"title": None, "image": None}, "give a title, or an image in its place"),
        ({"image": "/etc/passwd"}, "image: String should match pattern"),
        ({**RYE, "image": "https://img.example/a.png"}, "may not be fetched from 'img.example'"),
        ({**RYE, "price": -1}, "price: Input should be greater than or equal to 0"),
        ({**RYE, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({**RYE, "categories": [[]]}, "categories.0: List should have at least 1 item"),
    ],
)
def test_bad_items_are_refused(service: Service, body: dict[str, object], says: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/x", json=body)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]

    talk(service, conversation)


def test_changes_are_there_after_a_restart(service: Service, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json=RYE)
        await client.patch("/api/items/jam", json={"price": 1.0})

    talk(service, conversation)
    service.close()
    again = Service.open(model, service.store.path)
    try:
        names = again.shop.dataset.item_ids
        assert "rye" in names
        assert again.shop._prices[names.row("jam")] == 1.0
    finally:
        again.close()


def test_a_person_can_be_read_and_deleted(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/events", json={"user": "ann", "item": "soap", "key": "secret-key"})
        await client.put("/api/users/ann", json={"city": "Ghent"})
        known = (await client.get("/api/users/ann")).json()
        assert known["attributes"] == {"city": "Ghent"}
        assert [e["item"] for e in known["events"]] == ["soap"]
        assert known["history"][0] == "bread"
        assert (await client.delete("/api/users/ann")).json() == {"events_deleted": 1}
        assert (await client.get("/api/users/ann")).status_code == 404
        assert (await client.get("/api/recommend/ann")).json()["served"] == "trending"
        assert (await client.get("/api/console")).json()["events"] == []
        await client.post("/api/events", json={"user": "ann", "item": "cake"})
        assert len(service.shop.history_of("ann").item) == 1

    talk(service, conversation)
    service.close()
    for file in service.store.path.parent.iterdir():
        assert b"secret-key" not in file.read_bytes()
        assert b"Ghent" not in file.read_bytes()
