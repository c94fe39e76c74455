"""The catalogue while it is served, and people: what is told holds in the next answer."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import httpx
import numpy as np
import pytest

from crossaisle.serve.api import responses
from crossaisle.serve.limits.live import CapacityLimits, LiveLimits
from crossaisle.serve.live import capacity
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

RYE = {"title": "Rye bread with seeds", "categories": [["Bakery", "Bread"]], "price": 3.0}


async def ids(client: httpx.AsyncClient, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return [r["item_id"] for r in answer.json()["items"]]


def test_a_new_item_is_recommendable_at_once(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/rye", json=RYE)
        assert put.status_code == 201
        assert put.json()["category"] == "Bakery > Bread"
        assert "rye" in await ids(client, "/api/items/bread/similar")
        assert "new" in await ids(client, "/api/items/rye/similar?explain=true")
        assert "rye" in await ids(client, "/api/recommend/bob?include_categories=Bread&exclude_seen=false")
        assert await ids(client, "/api/items?q=seeds") == ["rye"]
        # As part of a history, too.
        await client.post("/api/events", json={"user": "zoe", "item": "rye"})
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert (await client.put("/api/items/rye", json=RYE)).status_code == 200

    talk(service, conversation)


def test_scores_of_known_items_do_not_move(service: ShopService) -> None:
    histories = service.shop.base.histories
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


def test_an_explanation_of_a_new_item_names_what_it_is_like(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json=RYE)
        answer = (await client.get("/api/items/bread/similar?explain=true")).json()
        (rye,) = [r for r in answer["items"] if r["item_id"] == "rye"]
        assert rye["why"].startswith("New, and similar to ")

    talk(service, conversation)


def test_a_new_item_in_the_cart_is_named_itself_and_not_what_stands_in_for_it(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json=RYE)
        body = {"placement": "goes_with", "items": ["rye"], "explain": True}
        items = (await client.post("/api/recommend", json=body)).json()["items"]
        named = [c for r in items for c in r["evidence"]["contributions"] if c["item_id"]]
        assert named
        assert {(c["item_id"], c["name"]) for c in named} == {("rye", RYE["title"])}
        said = [name for r in items for cause in r["evidence"]["causes"] for name in cause["names"]]
        assert RYE["title"] in said
        assert "White bread" not in said

    talk(service, conversation)


def test_price_and_stock_hold_at_once(service: ShopService) -> None:
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


def test_many_prices_and_stocks_change_at_once_and_nothing_else(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = {
            name: (await client.get(f"/api/items/{name}")).json() for name in ("butter", "bread", "jam")
        }
        sent = [
            {"id": "butter", "price": 9.5},
            {"id": "bread", "in_stock": False},
            {"id": "butter", "price": 9},
        ]
        answer = (await client.patch("/api/items", json=sent)).json()
        assert answer == {"accepted": 3, "cleaned": 0, "changes": [], "refused": 0, "errors": []}
        after = {name: (await client.get(f"/api/items/{name}")).json() for name in before}
        assert after["butter"] == before["butter"] | {"price": 9.0}
        assert after["bread"] == before["bread"] | {"in_stock": False}
        assert after["jam"] == before["jam"]
        # A list: all or none.
        refused = await client.patch(
            "/api/items", json=[{"id": "jam", "price": 1}, {"id": "jan", "price": 1}]
        )
        assert (refused.status_code, refused.json()["detail"]) == (404, "unknown item 'jan'")
        for wrong in (
            [{"price": 1}],
            [{"id": "jam", "prise": 1}],
            [{"id": "jam", "price": "1"}],
            {"id": "jam"},
        ):
            assert (await client.patch("/api/items", json=wrong)).status_code == 422
        assert (await client.get("/api/items/jam")).json() == before["jam"]

    talk(service, conversation)


def test_lines_that_can_be_taken_are_and_the_others_are_described(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        lines = b"""{"id": "butter", "price": 7.25}

{"id": "jan", "price": 1}
{"id": "bread", "in_stock": false
{"id": "jam", "price": -1}
{"id": "jam", "in_stock": false}
7
"""
        sent = {"content": lines, "headers": {"content-type": "application/x-ndjson"}}
        answer = (await client.patch("/api/items", **sent)).json()
        assert (answer["accepted"], answer["refused"]) == (2, 4)
        places = [one.split(":")[0] for one in answer["errors"]]
        assert places == ["line 3", "line 4", "line 5", "line 7"]
        assert answer["errors"][3] == "line 7: must be an object"
        assert answer["errors"][0] == "line 3: unknown item 'jan'"
        assert (await client.get("/api/items/butter")).json()["price"] == 7.25
        assert (await client.get("/api/items/jam")).json()["in_stock"] is False
        assert (await client.get("/api/items/bread")).json()["in_stock"] is True
        form = {"content": lines, "headers": {"content-type": "text/plain"}}
        assert (await client.patch("/api/items", **form)).status_code == 415

    talk(service, conversation)


def test_a_patch_answers_of_its_own_item_whatever_is_deleted_meanwhile(service: ShopService) -> None:
    """Deleting an item that is newer than the model moves the rows of those after it."""

    async def conversation(client: httpx.AsyncClient) -> None:
        for name in ("n1", "n2", "n3"):
            await client.put(f"/api/items/{name}", json={**RYE, "title": f"rye of {name}"})
        _, patched = await asyncio.gather(
            client.delete("/api/items/n1"), client.patch("/api/items/n2", json={"price": 7})
        )
        assert (patched.status_code, patched.json()["item_id"]) == (200, "n2")
        _, last = await asyncio.gather(
            client.delete("/api/items/n2"), client.patch("/api/items/n3", json={"price": 7})
        )
        assert (last.status_code, last.json()["item_id"]) == (200, "n3")

    talk(service, conversation)


def test_deleted_items_are_in_no_list(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.delete("/api/items/butter")).status_code == 204
        assert (await client.get("/api/items/butter")).status_code == 404
        for path in ("/api/recommend/eve?in_stock=false", "/api/trending", "/api/items"):
            assert "butter" not in await ids(client, path)
        assert (await client.delete("/api/items/ghost")).status_code == 404

    talk(service, conversation)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give a title or an image"),
        ({"title": None, "image": None}, "give a title or an image"),
        ({"image": "/etc/passwd"}, "image: String should match pattern"),
        ({**RYE, "image": "https://img.example/a.png"}, "may not be fetched from 'img.example'"),
        ({**RYE, "price": -1}, "price: Input should be greater than or equal to 0"),
        ({**RYE, "colour": "red"}, "colour: unknown field (known: title, description, "),
        ({**RYE, "categories": [[]]}, "categories.0: List should have at least 1 item"),
    ],
)
def test_bad_items_are_refused(service: ShopService, body: dict[str, object], says: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/x", json=body)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]

    talk(service, conversation)


def test_changes_are_there_after_a_restart(service: ShopService, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json=RYE)
        await client.patch("/api/items/jam", json={"price": 1.0})

    talk(service, conversation)
    service.close()
    again = ShopService.open(model, service.store.path)
    try:
        names = again.shop.dataset.item_ids
        assert "rye" in names
        assert again.shop.view.prices[names.row("jam")] == 1.0
    finally:
        again.close()


def test_a_person_can_be_read_and_deleted(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/events", json={"user": "ann", "item": "soap", "key": "secret-key"})
        await client.put("/api/users/ann", json={"city": "Ghent"})
        known = (await client.get("/api/users/ann")).json()
        assert known["attributes"] == {"city": "Ghent"}
        assert [e["item"] for e in known["events"]] == ["soap"]
        assert known["history"][0] == "bread"
        assert (await client.delete("/api/users/ann")).json() == {
            "events_deleted": 1,
            "overwritten": True,
        }
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


def test_texts_come_without_control_characters_as_when_they_are_imported(service: ShopService) -> None:
    odd = {
        "title": "Rye \x1b[31mbread\x00 \u202ewith\n seeds ",
        "description": "\x9b2J",
        "brand": "a\u2066b",
        "categories": [["Bak\x07ery", "Bread"]],
        "attributes": {"si\x1bze": "1\x00 kg ", "n": 2},
    }

    async def conversation(client: httpx.AsyncClient) -> None:
        item = (await client.put("/api/items/rye", json=odd)).json()
        assert (item["title"], item["description"], item["brand"]) == ("Rye [31mbread with seeds", "2J", "ab")
        assert (item["categories"], item["attributes"]) == ([["Bakery", "Bread"]], {"size": "1 kg", "n": 2.0})
        for nothing in ({"title": "\x00 \x1b"}, {"title": "x", "categories": [["\u202e"]]}):
            answer = await client.put("/api/items/x", json=nothing)
            assert (answer.status_code, "visible characters" in answer.json()["detail"]) == (422, True)
        await client.put("/api/users/zoe", json={"na\x1bme": "\u202eeoz"})
        assert (await client.get("/api/users/zoe")).json()["attributes"] == {"name": "eoz"}

    talk(service, conversation)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"a": "x" * 1001}, "at most 1000 characters"),
        ({"n" * 101: 1}, "at most 100 characters"),
        ({f"a{n}": 1 for n in range(101)}, "holds at most 100 entries (found 101)"),
        ({f"a{n}": "x" * 1000 for n in range(70)}, "must not exceed 64,000 bytes as JSON (found 70,"),
        ({"a": [1]}, "valid string"),
    ],
)
def test_attributes_have_limits_of_items_and_of_people(
    service: ShopService, attributes: dict[str, object], says: str
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        whole = {"title": "Rye", "attributes": attributes}
        for answer in (
            await client.put("/api/items/x", json=whole),
            await client.patch("/api/items/bread", json={"attributes": attributes}),
            await client.post("/api/items", json=[{"id": "x", **whole}]),
            await client.put("/api/users/zoe", json=attributes),
        ):
            assert answer.status_code == 422
            assert says in str(answer.json())
        assert (await client.get("/api/items/x")).status_code == 404

    talk(service, conversation)


def test_an_item_does_not_grow_too_large_bit_by_bit(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        many = {f"a{n}": "x" * 1000 for n in range(60)}
        assert (await client.put("/api/items/x", json={**RYE, "attributes": many})).status_code == 201
        longer = await client.patch("/api/items/x", json={"description": "x" * 10_000})
        assert longer.status_code == 422
        assert longer.json()["detail"].startswith("item 'x': must not exceed 64,000 bytes as JSON (found 7")
        assert (await client.get("/api/items/x")).json()["description"] == ""

    talk(service, conversation)


def test_of_a_deleted_item_nothing_is_kept_but_that(service: ShopService, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/rye", json={**RYE, "description": "much " * 100})
        await client.patch("/api/items/jam", json={"price": 1.0})
        for name in ("rye", "jam"):
            assert (await client.delete(f"/api/items/{name}")).status_code == 204
        assert service.state.changed["rye"] == service.state.changed["jam"] == {"deleted": True}
        assert (await client.put("/api/items/rye", json=RYE)).status_code == 201
        assert (await client.put("/api/items/jam", json={"title": "Jam"})).status_code == 200

    talk(service, conversation)
    assert service.store.items()["rye"]["title"] == RYE["title"]


def test_a_value_that_is_no_number_is_refused_and_not_kept(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        json = {"content-type": "application/json"}
        for odd in ("NaN", "-Infinity", "1e999", '"\\ud800"'):
            attributes = f'{{"a":{odd}}}'
            item = f'{{"title":"Odd thing","attributes":{attributes}}}'
            for path, body in (("/api/items/odd", item), ("/api/users/odd", attributes)):
                assert (await client.put(path, content=body, headers=json)).status_code == 422
        assert (await client.get("/api/items?q=thing")).json()["total"] == 0
        assert (await client.get("/api/users/odd")).status_code == 404

    talk(service, conversation)


def test_items_that_an_older_version_kept_with_nan_are_answered(service: ShopService, model: Path) -> None:
    nan = {"title": "Odd thing", "attributes": {"a": float("nan"), "b": float("inf"), "c": 1.0}}
    service.store.put_items({"odd": nan, "bread": {"attributes": {"a": float("nan")}}}).result()
    service.store.put_user("zoe", {"a": float("nan")}).result()
    service.close()
    again = ShopService.open(model, service.store.path)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/items/odd")).json()["attributes"] == {"a": None, "b": None, "c": 1.0}
        assert (await client.get("/api/items?q=thing")).json()["total"] == 1
        assert (await client.get("/api/items/bread")).json()["attributes"] == {"a": None}
        assert (await client.patch("/api/items/odd", json={"price": 2})).json()["attributes"]["a"] is None
        assert (await client.get("/api/users/zoe")).json()["attributes"] == {"a": None}

    try:
        talk(again, conversation)
    finally:
        again.close()


def test_a_model_whose_attributes_hold_what_json_has_not_is_answered() -> None:
    assert responses.stored_attributes('{"a": NaN, "b": "\\ud800", "c": [1e999]}') == {
        "a": None,
        "b": "?",
        "c": [math.inf],
    }
    assert responses.stored_attributes("") == responses.stored_attributes(None) == {}
    assert responses.as_json(responses.stored_attributes('{"c": 1e999}')).body == b'{"c":null}'


def test_a_shop_that_is_full_takes_no_more_items(service: ShopService) -> None:
    n = service.shop.base.dataset.n_items
    service.changes.limits = LiveLimits(capacity=CapacityLimits(items=2 - n))

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.put("/api/items/rye1", json=RYE)).status_code == 201
        assert (await client.put("/api/items/rye2", json=RYE)).status_code == 201
        full = await client.put("/api/items/rye3", json=RYE)
        assert full.status_code == 409
        assert full.json()["detail"].startswith("this shop is full: at most ")
        assert (await client.patch("/api/items/rye1", json={"price": 1})).status_code == 200
        room = CapacityLimits(items=1000, json_bytes=service.state.room.size + 10)
        service.changes.limits = LiveLimits(capacity=room)
        full = await client.put("/api/items/rye3", json=RYE)
        assert (full.status_code, "bytes" in full.json()["detail"]) == (409, True)
        assert (await client.delete("/api/items/rye1")).status_code == 204
        assert (await client.put("/api/items/rye1", json=RYE)).status_code == 201
        assert service.state.room == capacity.Room.of(service.state.changed)

    talk(service, conversation)
