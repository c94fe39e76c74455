"""What is sent about items is cleaned as the catalogue was; many at once; differences shown and dropped."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

RYE = {"title": "Rye bread", "categories": [["Bakery", "Bread"]], "price": 3.0}


def test_texts_are_cleaned_and_the_answer_says_what_was_changed(service: ShopService) -> None:
    sent = {
        "title": "<b>Ｒye</b>  bread &amp; seeds",
        "categories": [["Bakery", "<i>Bread</i>"]],
        "attributes": {"size": "500 g", "care": "N/A"},
        "description": "NULL",
    }

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = (await client.put("/api/items/rye", json=sent)).json()
        assert answer["title"] == "Rye bread & seeds"
        assert answer["categories"] == [["Bakery", "Bread"]]
        assert answer["attributes"] == {"size": "500 g"}
        assert answer["description"] == ""
        told = {one["field"]: one for one in answer["cleaned"]}
        assert told["title"]["steps"] == ["markup", "width"]
        assert told["title"]["before"] == sent["title"]
        assert told["title"]["after"] == "Rye bread & seeds"
        assert told["categories"]["steps"] == ["markup"]
        assert told["attributes"]["steps"] == ["no_value"]
        assert told["description"]["steps"] == ["no_value"]
        body = {name: answer[name] for name in ("title", "categories", "attributes")}
        assert (await client.put("/api/items/rye", json=body)).json()["cleaned"] == []
        patched = (await client.patch("/api/items/rye", json={"brand": " Mill\x07 "})).json()
        assert patched["brand"] == "Mill"
        assert [one["steps"] for one in patched["cleaned"]] == [["control_characters"]]
        assert (await client.get("/api/items/rye")).json()["cleaned"] == []
        batch = [{"id": "a", "title": "A &lt; B"}, {"id": "b", "title": "B"}]
        taken = (await client.post("/api/items", json=batch)).json()
        assert (taken["accepted"], taken["cleaned"]) == (2, 1)
        assert taken["changes"][0]["item_id"] == "a"
        assert taken["changes"][0]["after"] == "A < B"

    talk(service, conversation)


@pytest.mark.parametrize("title", ["<br>", "N/A", "&nbsp;"])
def test_a_title_that_says_nothing_is_refused(service: ShopService, title: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/x", json={"title": title})
        assert answer.status_code == 422
        assert "is not a title: give a title or an image" in answer.json()["detail"]

    talk(service, conversation)


def test_a_file_of_prices_and_stock_changes_nothing_else(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = (await client.get("/api/items/bread")).json()
        sent = [
            {"id": "bread", "price": 1.5},
            {"id": "butter", "in_stock": False},
            {"id": "bread", "price": 2},
        ]
        answer = await client.patch("/api/items", json=sent)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
        assert (await client.get("/api/items/bread")).json() == {**before, "price": 2.0}
        assert (await client.get("/api/items/butter")).json()["in_stock"] is False
        refused = await client.patch(
            "/api/items", json=[{"id": "bread", "price": 9}, {"id": "no", "price": 9}]
        )
        assert refused.status_code == 404
        assert "'no'" in refused.json()["detail"]
        assert (await client.get("/api/items/bread")).json()["price"] == 2.0

    talk(service, conversation)


def test_what_was_removed_is_not_patched_but_named(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.delete("/api/items/bread")
        for answer in (
            await client.patch("/api/items/bread", json={"price": 1}),
            await client.patch("/api/items", json=[{"id": "bread", "price": 1}]),
        ):
            assert answer.status_code == 404
            assert "item 'bread' was removed from the shop; PUT brings it back" in answer.json()["detail"]
        assert (await client.put("/api/items/bread", json=RYE)).status_code == 200
        assert (await client.patch("/api/items/bread", json={"price": 1})).status_code == 200

    talk(service, conversation)


def test_groups_hold_for_items_that_arrive(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def listed() -> list[str]:
            asked = {"history": ["milk"], "n": 20, "one_per_title": True, "exclude_seen": False}
            answer = (await client.post("/api/recommend", json=asked)).json()
            return [one["item_id"] for one in answer["items"]]

        for size in ("S", "M", "L"):
            body = {"title": f"Rye loaf {size}", "categories": [["Bakery"]], "group_id": " rye\x07 "}
            answer = (await client.put(f"/api/items/rye-{size}", json=body)).json()
            assert answer["group_id"] == "rye"
            assert [(one["field"], one["steps"]) for one in answer["cleaned"]] == [
                ("group_id", ["control_characters"])
            ]
        assert len([one for one in await listed() if one.startswith("rye-")]) == 1
        # a product of the model and one that is new are one family, too
        assert "bread" in await listed()
        await client.patch("/api/items", json=[{"id": "bread", "group_id": "rye"}])
        assert len([one for one in await listed() if one.startswith("rye-") or one == "bread"]) == 1
        differences = (await client.get("/api/changes")).json()["items"]
        assert differences[0]["fields"] == {"group_id": {"model": None, "now": "rye"}}
        # a whole item is what was sent
        whole = {"title": "Rye loaf", "categories": [["Bakery"]]}
        assert (await client.put("/api/items/rye-S", json=whole)).json()["group_id"] is None
        assert (await client.patch("/api/items/rye-M", json={"group_id": "N/A"})).json()["group_id"] is None
        await client.patch("/api/items/bread", json={"group_id": None})
        assert {"bread", "rye-S", "rye-M", "rye-L"} <= set(await listed())
        refused = await client.patch("/api/items/bread", json={"group_id": 7})
        assert refused.status_code == 422

    talk(service, conversation)


def test_differences_from_the_model_are_shown_and_dropped(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = {
            name: (await client.get(f"/api/items/{name}")).json() for name in ("bread", "butter", "milk")
        }
        await client.patch("/api/items/bread", json={"price": 99, "title": before["bread"]["title"]})
        await client.delete("/api/items/butter")
        await client.put("/api/items/rye", json=RYE)
        await client.patch("/api/items/milk", json={"brand": before["milk"]["brand"]})
        shown = (await client.get("/api/changes")).json()
        assert shown["total"] == 3
        assert [(one["item_id"], one["what"]) for one in shown["items"]] == [
            ("bread", "changed"),
            ("butter", "removed"),
            ("rye", "new"),
        ]
        assert shown["items"][0]["fields"] == {"price": {"model": before["bread"]["price"], "now": 99.0}}
        page = (await client.get("/api/changes?n=1&offset=1")).json()
        assert [one["item_id"] for one in page["items"]] == ["butter"]

        async def drop(body: dict[str, Any]) -> httpx.Response:
            return await client.post("/api/changes/drop", json=body)

        assert (await drop({})).status_code == 422
        assert (await drop({"items": ["bread"], "all": True})).status_code == 422
        assert (await drop({"items": ["cheese"]})).status_code == 404
        assert (await drop({"items": ["bread"]})).json() == {"dropped": 1}
        assert (await client.get("/api/items/bread")).json() == before["bread"]
        assert (await drop({"all": True})).json()["dropped"] == 3
        assert (await client.get("/api/changes")).json() == {"total": 0, "items": []}
        for name in ("butter", "milk"):
            assert (await client.get(f"/api/items/{name}")).json() == before[name]
        assert (await client.get("/api/items/rye")).status_code == 404
        audit = (await client.get("/api/audit")).json()
        told = [line["what"] for line in audit if line["what"].startswith("dropped")]
        assert told == ["dropped changes of items: 3", "dropped changes of items: 1"]
        assert (await drop({"all": True})).json()["dropped"] == 0
        assert (await client.get("/api/audit")).json() == audit, "nothing was done"

    talk(service, conversation)


def test_events_of_an_unknown_item_count_once_it_is_put(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        sent = {"user": "zoe", "item": "rye", "kind": "purchase"}
        told = (await client.post("/api/events", json=sent)).json()
        assert "counted once the item is added" in told["notices"][0]
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "trending"
        await client.put("/api/items/rye", json=RYE)
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"

    talk(service, conversation)


def test_a_stock_of_null_is_refused_and_changes_nothing(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path, sent in (
            ("/api/items", [{"id": "jam", "in_stock": None}]),
            ("/api/items/jam", {"in_stock": None}),
        ):
            refused = await client.patch(path, json=sent)
            assert refused.status_code == 422
            assert "in_stock: Input should be a valid boolean" in refused.json()["detail"]
        assert (await client.get("/api/changes")).json()["total"] == 0
        assert (await client.patch("/api/items/jam", json={"brand": None})).status_code == 200
        assert (await client.get("/api/items/jam")).json()["in_stock"] is True
        schemas = (await client.get("/openapi.json")).json()["paths"]["/api/items/{item}"]["patch"]
        found = schemas["requestBody"]["content"]["application/json"]["schema"]["properties"]["in_stock"]
        assert found["type"] == "boolean"
        assert "default" not in found

    talk(service, conversation)


@pytest.mark.parametrize(
    ("method", "path", "sent", "detail"),
    [
        ("PATCH", "/api/items", [1], "body.0: must be an object"),
        ("POST", "/api/items", [None], "body.0: must be an object"),
        ("PUT", "/api/items/jam", [1], "body: must be an object"),
        ("PUT", "/api/items/jam", {"title": "Jam", "attributes": 1}, "body.attributes: must be an object"),
        ("PUT", "/api/users/ann", [1], "body: must be an object"),
        ("POST", "/api/recommend", 1, "body: must be an object"),
        ("POST", "/api/changes/drop", "all", "body: must be an object"),
    ],
)
def test_what_must_be_an_object_is_said_without_names_of_classes(
    service: ShopService, method: str, path: str, sent: Any, detail: str
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.request(method, path, json=sent)
        assert (answer.status_code, answer.json()["detail"]) == (422, detail)

    talk(service, conversation)


def test_a_group_that_is_hardly_one_product_is_told(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for n, told in ((100, 0), (101, 1)):
            batch = [{"id": f"n{at}", "title": f"Mug {at}", "group_id": "default"} for at in range(n)]
            answer = (await client.post("/api/items", json=batch)).json()
            assert answer["accepted"] == n
            assert len(answer.get("notices", ())) == told
        assert "is group_id the right column?" in answer["notices"][0]
        lines = "\n".join(json.dumps({"id": one["id"], "group_id": "all"}) for one in batch)
        answer = (
            await client.patch("/api/items", content=lines, headers={"content-type": "application/x-ndjson"})
        ).json()
        assert answer["notices"][0].startswith("group 'all' has 101 of ")

    talk(service, conversation)
