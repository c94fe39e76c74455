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
@pytest.mark.parametrize("more", ["", "&share=0.5", "&share=0.5&diversity=0.5"])
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
