"""What people did, over HTTP: returns, dislikes, unknown kinds and items, and events that are taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


async def _ids(client: httpx.AsyncClient, path: str) -> list[str]:
    return [one["item_id"] for one in (await client.get(path)).json()["items"]]


async def _send(client: httpx.AsyncClient, *events: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/api/events", json=list(events))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_was_looked_at_is_not_bought(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await _send(client, {"user": "zoe", "item": "bread", "kind": "view"})
        listed = (await client.get("/api/recommend/zoe?explain=true")).json()
        assert listed["served"] == "for_you"
        said = [one["why"] or "" for one in listed["items"]]
        assert any("looked at White bread" in why for why in said)
        assert not any("bought" in why for why in said)
        again = (await client.get("/api/recommend/zoe?placement=buy_again")).json()
        assert again["served"] == "trending"
        assert again["notices"][0] == "user 'zoe' has bought nothing yet: showing trending items instead"
        await _send(client, {"user": "zoe", "item": "jam", "kind": "purchase-complete"})
        assert await _ids(client, "/api/recommend/zoe?placement=buy_again") == ["jam"]

    talk(service, conversation)


def test_verbs_follow_the_kinds(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for kind, said in (("cart", "put White bread in the cart"), ("like", "liked White bread")):
            await _send(client, {"user": kind, "item": "bread", "kind": kind})
            listed = (await client.get(f"/api/recommend/{kind}?explain=true")).json()
            assert any(said in one["why"] for one in listed["items"]), kind

    talk(service, conversation)


def test_what_somebody_turned_against_is_not_shown_to_them(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await _send(client, {"user": "zoe", "item": "bread", "kind": "purchase"})
        first = await _ids(client, "/api/recommend/zoe?n=20")
        assert "butter" in first
        await _send(client, {"user": "zoe", "item": "butter", "kind": "dislike"})
        assert await _ids(client, "/api/recommend/zoe?n=20") == [one for one in first if one != "butter"]
        assert "butter" not in await _ids(client, "/api/recommend/zoe?n=20&placement=discover")
        assert "butter" in await _ids(client, "/api/trending?n=20")
        # Of somebody with nothing else, too.
        await _send(client, {"user": "yan", "item": "bread", "kind": "return", "quantity": -1})
        listed = (await client.get("/api/recommend/yan?n=20")).json()
        assert listed["served"] == "trending"
        assert "bread" not in [one["item_id"] for one in listed["items"]]

    talk(service, conversation)


def test_returns_and_dislikes_are_no_trend(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = await _ids(client, "/api/trending?n=20")
        for kind in ("dislike", "return", "remove_from_cart", "impression", "whatever"):
            await _send(client, *({"user": f"v{i}", "item": "cheese", "kind": kind} for i in range(9)))
        service.live.trends.version += 1
        assert await _ids(client, "/api/trending?n=20") == before

    talk(service, conversation)


def test_unknown_kinds_and_items_are_kept_and_named(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        told = await _send(
            client, {"user": "zoe", "item": "bread", "kind": "hmm"}, {"user": "zoe", "item": "typo"}
        )
        assert told["accepted"] == 2
        assert told["notices"] == [
            "1 event(s) of unknown kinds ('hmm'): kept, but not counted until a fit names "
            "them in [data.kinds]",
            "1 event(s) of unknown items ('typo'): kept, and counted once the item is added",
        ]
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "trending"
        metrics = (await client.get("/metrics")).text
        assert "crossaisle_unknown_kind_events_total 1" in metrics
        assert "crossaisle_unknown_item_events_total 1" in metrics
        lines = b'{"user":"zoe","item":"bread","kind":"hmm"}\n{"user":"zoe","item":"milk"}\n'
        headers = {"content-type": "application/x-ndjson"}
        streamed = (await client.post("/api/events", content=lines, headers=headers)).json()
        assert len(streamed["notices"]) == 1

    talk(service, conversation)


@pytest.mark.parametrize("by_path", [True, False])
def test_an_event_can_be_taken_back(service: ShopService, model: Path, by_path: bool) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def delete(key: str) -> httpx.Response:
            if by_path:
                return await client.delete(f"/api/events/{key}")
            return await client.post("/api/events/delete", json={"key": key})

        await _send(client, {"user": "zoe", "item": "bread", "kind": "purchase", "key": "k0"})
        listed, trending = (
            await _ids(client, "/api/recommend/zoe?n=20"),
            await _ids(client, "/api/trending?n=20"),
        )
        sent = {"user": "zoe", "item": "butter", "kind": "dislike", "key": "k1"}
        for wrong in (sent, {**sent, "kind": "purchase"}):
            await _send(client, wrong)
            assert await _ids(client, "/api/recommend/zoe?n=20") != listed
            gone = await delete("k1")
            assert gone.json()["events_deleted"] == 1
            assert await _ids(client, "/api/recommend/zoe?n=20") == listed
            assert await _ids(client, "/api/trending?n=20") == trending
        missing = await delete("k1")
        assert missing.status_code == 404
        assert "no event was sent with the key 'k1'" in missing.json()["detail"]
        record = (await client.get("/api/users/zoe")).json()
        assert [one["key"] for one in record["events"]] == ["k0"]

    talk(service, conversation)
    lines = [line["what"] for line in service.store.audit(10)]
    assert sum("deleted an event of person" in line for line in lines) == 2
    service.close()
    again = ShopService.open(model, service.store.path)
    try:
        assert again.shop.live.of("zoe").items == ("bread",)
    finally:
        again.close()
