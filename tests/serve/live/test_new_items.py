"""A new item is placed as it is measured, and what its explanation says adds up to its score."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.models.blend import Blend
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.service import ShopService
from tests.models.shops import tiny_shop
from tests.serve.conftest import talk


@pytest.mark.parametrize("path", ["/api/recommend/ann", "/api/items/jam/similar"])
def test_the_evidence_of_a_new_item_adds_up_to_its_score(service: ShopService, path: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        body = {"title": "White rye bread with strawberry jam", "categories": [["Pantry", "Spreads"]]}
        assert (await client.put("/api/items/fresh", json=body)).status_code in (200, 201)
        answer = (await client.get(f"{path}?n=20&explain=true")).json()
        [new] = [item for item in answer["items"] if item["item_id"] == "fresh"]
        evidence = new["evidence"]
        assert new["why"].startswith("New, and similar to ")
        assert evidence["item_id"] == "fresh"
        assert evidence["score"] == pytest.approx(new["score"], rel=1e-4)
        amounts = sum(each["amount"] for each in evidence["contributions"]) + evidence["other"]
        assert amounts == pytest.approx(evidence["score"], rel=1e-4)

    talk(service, conversation)


def test_an_item_is_placed_alike_whether_it_was_fitted_or_put_in_while_serving() -> None:
    """The same product without an event: in the catalogue of the fit, and put in afterwards."""
    shop = tiny_shop(users=60)
    cold = int(shop.item_ids.row("milk5"))
    kept = np.arange(shop.n_items) != cold
    place = np.cumsum(kept) - 1
    smaller = replace(
        shop,
        items=shop.items.filter(pl.Series(kept)),
        item_ids=Vocabulary([name for name in shop.item_ids.all if name != "milk5"], what="item"),
        taxonomy=Taxonomy(
            tuple(path for path, stays in zip(shop.taxonomy.paths, kept, strict=True) if stays)
        ),
        events=replace(shop.events, item=place[shop.events.item].astype(np.int32)),
    )
    body = {
        "title": shop.items["title"][cold],
        "brand": shop.items["brand"][cold],
        "categories": [list(path) for path in shop.taxonomy.paths[cold]],
    }
    query = Query(history=("milk0", "bread1", "milk2"), n=shop.n_items, exclude_seen=True)
    before, after = (
        {item.item_id: item.score for item in one.recommend(query)}
        for one in (_model(shop), LiveRecommender(_model(smaller), LiveHistories(), {"milk5": body}))
    )
    assert after["milk5"] == pytest.approx(before["milk5"], rel=0.1)  # words count a little differently
    assert after["milk1"] == pytest.approx(before["milk1"], rel=0.01)


def test_what_is_lent_is_not_lent_on() -> None:
    shop = tiny_shop(users=60)
    base = _model(shop)
    assert base.newcomers is not None
    live = LiveRecommender(base, LiveHistories(), {"new": {"title": "fresh milk number 5"}})
    assert live.grown.links.nnz
    assert not np.isin(live.grown.links.indices, base.newcomers.rows).any()


def _model(shop: Dataset) -> Recommender:
    parts = {"popularity": Popularity(), "item_knn": ItemKNN(shrink=1.0), "tfidf": TfidfSimilarity()}
    blend = Blend(parts=parts, weights={"for_you": {"item_knn": 1.0}}).fit(shop)
    return Recommender(shop, blend, newcomers=Newcomers.of(parts.values(), shop))
