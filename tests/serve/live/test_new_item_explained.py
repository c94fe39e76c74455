"""What a new item's explanation says adds up to its score: the mean over its stand-ins."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


@pytest.mark.parametrize("path", ["/api/recommend/ann", "/api/items/jam/similar"])
def test_the_evidence_of_a_new_item_adds_up_to_its_score(service: ShopService, path: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        body = {"title": "White rye bread with strawberry jam", "categories": [["Pantry", "Spreads"]]}
        assert (await client.put("/api/items/fresh", json=body)).status_code in (200, 201)
        answer = (await client.get(f"{path}?n=20&explain=true")).json()
        [new] = [item for item in answer["items"] if item["item_id"] == "fresh"]
        evidence = new["evidence"]
        assert new["why"].startswith("New, and like ")
        assert evidence["item_id"] == "fresh"
        assert evidence["score"] == pytest.approx(new["score"], rel=1e-4)
        amounts = sum(each["amount"] for each in evidence["contributions"]) + evidence["other"]
        assert amounts == pytest.approx(evidence["score"], rel=1e-4)

    talk(service, conversation)
