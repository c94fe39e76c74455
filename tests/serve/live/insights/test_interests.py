"""The console shows what a visitor is interested in, live events included."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


def test_interest_points_follow_what_a_visitor_does(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def interests(user: str) -> list[dict[str, object]]:
            answer = await client.post("/api/console/visitor", json={"user": user})
            assert answer.status_code == 200, answer.text
            return list(answer.json()["interests"])

        known = await interests("ann")
        assert known
        assert sum(float(str(one["share"])) for one in known) <= 1.0 + 1e-6
        assert all(one["label"] and one["typical"] for one in known)
        assert await interests("zoe") == []
        await client.post("/api/events", json={"user": "zoe", "item": "bread", "kind": "purchase"})
        [one] = await interests("zoe")
        assert one["share"] == pytest.approx(1.0)
        assert one["typical"] == ["White bread"]
        # A new item counts as the one that it resembles.
        rye = {"title": "White bread with rye", "categories": [["Bakery", "Bread"]]}
        await client.put("/api/items/rye", json=rye)
        await client.post("/api/events", json={"user": "yan", "item": "rye", "kind": "purchase"})
        assert await interests("yan")

    talk(service, conversation)
