"""Pages of a list that an experiment mixes: no item is on two of them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

DRAWN = {"name": "drawn", "arms": [{"name": "a", "explore": 0.5}, {"name": "b", "explore": 1.0}]}
MIXED = {"name": "mixed", "kind": "interleaving", "arms": [{"name": "a"}, {"name": "b", "model": "b"}]}


@pytest.mark.parametrize("body", [DRAWN, MIXED], ids=["explored", "interleaved"])
@pytest.mark.parametrize("more", ["", "&cross_share=0.5", "&cross_share=0.5&diversity=0.5"])
def test_pages_hold_every_item_once(service: ShopService, body: dict[str, Any], more: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.post("/api/experiments", json=body)).status_code == 201
        for user in ("ann", "bob", "eve"):
            path = f"/api/recommend/{user}?exclude_seen=false{more}"
            ids, ranks = [], []
            for offset in range(0, 12, 2):
                page = (await client.get(f"{path}&n=2&offset={offset}")).json()["items"]
                ids += [item["item_id"] for item in page]
                ranks += [item["rank"] for item in page]
            whole = (await client.get(f"{path}&n=50")).json()["items"]
            assert sorted(ids) == sorted(item["item_id"] for item in whole)
            assert ranks == list(range(1, len(ids) + 1))

    talk(service, conversation)


@pytest.mark.parametrize("body", [DRAWN, MIXED], ids=["explored", "interleaved"])
def test_a_page_is_logged_and_spoken_of_as_it_was_shown(service: ShopService, body: dict[str, Any]) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.post("/api/experiments", json=body)).status_code == 201
        path = "/api/recommend/ann?exclude_seen=false&n=2"
        pages = [(await client.get(f"{path}&offset={offset}")).json() for offset in (0, 2, 200)]
        lines = [shown for _, shown in await service.experiments.lines(body["name"], 0, 10)]
        shown = [tuple(item["item_id"] for item in page["items"]) for page in pages]
        assert [line.items for line in lines] == [page for page in shown if page]
        for line in lines:
            assert len(line.propensities) in (0, len(line.items))
            assert len(line.teams or line.ranked) == len(line.items)
        assert pages[0]["notices"] == []
        assert pages[-1]["notices"] == ["0 of 2: no more items match the placement and its filters"]

    talk(service, conversation)


def test_a_mixed_list_keeps_quotas_and_shows_a_title_once(service: ShopService) -> None:
    """Each arm's own list keeps to them; two of them together need not."""

    async def conversation(client: httpx.AsyncClient) -> None:
        opposed = [{"name": "a"}, {"name": "b", "weights": {"popularity": -1.0}}]
        body = {"name": "mixed", "kind": "interleaving", "arms": opposed}
        made = await client.post("/api/experiments", json=body)
        assert made.status_code == 201, made.text
        for user in ("ann", "bob", "eve", "dee"):
            path = f"/api/recommend/{user}?exclude_seen=false&n=8&quota=1"
            items = (await client.get(path)).json()["items"]
            categories = [item["category"] for item in items]
            assert len(categories) > 1
            assert len(set(categories)) == len(categories)

    talk(service, conversation)
