"""A shop that counts as large: the best items are searched for, and the lists are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.service import ShopService
from tests.serve.api.test_lists import QUESTIONS
from tests.serve.conftest import as_if_large, fitted, talk


@pytest.fixture
def large(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[ShopService]:
    narrow = getattr(request, "param", 20_000)
    limits = ServingLimits(live=LiveLimits(large_items=5, retrieved_items=4, narrow_items=narrow))
    service = ShopService.open(model, tmp_path / "store.sqlite", limits=limits)
    as_if_large(service.shop.base)
    assert service.shop.large
    # Where a filter leaves few items, these are scored; never all.
    monkeypatch.setattr(service.shop.ranker, "score_batch", lambda *_: pytest.fail("all items were scored"))
    yield service
    service.close()


@pytest.mark.parametrize(
    "large", [1000, 0], indirect=True, ids=["few are scored", "the best are searched for again"]
)
@pytest.mark.parametrize("question", QUESTIONS)
def test_lists_are_those_of_the_recommender(large: ShopService, shop: Dataset, question: str) -> None:
    recommender, users = fitted(shop), ("ann", "eve", "nobody")
    expected = [recommender.recommend(Query(user=user, **QUESTIONS[question])) for user in users]

    async def conversation(client: httpx.AsyncClient) -> None:
        for user, right in [*zip(users, expected, strict=True)] * 2:  # searched for, then kept
            answer = (await client.get(f"/api/recommend/{user}?{question}")).json()
            assert [r["item_id"] for r in answer["items"]] == right.ids
            assert [r["score"] for r in answer["items"]] == pytest.approx([r.score for r in right], rel=1e-5)
            assert answer["cross_share"] == pytest.approx(right.cross_share)

    talk(large, conversation)


def test_a_new_item_is_found_by_those_who_like_its_like(large: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        like = (await client.get("/api/recommend/ann?n=1")).json()["items"][0]
        known = (await client.get(f"/api/items/{like['item_id']}")).json()
        body = {"title": known["title"], "brand": known["brand"], "categories": known["categories"]}
        assert (await client.put("/api/items/twin", json=body)).status_code == 201
        listed = (await client.get("/api/recommend/ann?explain=true&n=10&one_per_title=false")).json()[
            "items"
        ]
        twin = next(r for r in listed if r["item_id"] == "twin")
        assert twin["why"].startswith("New, and similar to ")
        beside = (await client.get("/api/items/twin/similar?n=1&one_per_title=false")).json()["items"]
        assert beside[0]["item_id"] == like["item_id"]
        await client.delete(f"/api/items/{like['item_id']}")
        left = (await client.get("/api/recommend/ann?n=10")).json()["items"]
        assert like["item_id"] not in [r["item_id"] for r in left]

    talk(large, conversation)
