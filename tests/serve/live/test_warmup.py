"""What is answered before somebody asks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import numpy as np
import polars as pl
import pytest

from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.query import Query
from crossaisle.serve.api.app import create_app
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.warmup import ahead, warm
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event
from tests.serve.conftest import fitted, talk


def test_a_new_model_has_answered_what_was_asked_of_late(service: ShopService) -> None:
    old = service.shop
    one, other = old.base.dataset.user_ids.all[:2]
    asked = [Query(user=one), Query(user=other, placement="discover")]
    old.score_many(asked)
    fresh = LiveRecommender(old.base, service.live)
    warm(fresh, old.cache.queries())
    for query in asked:
        fresh.from_cache(query)
    assert (fresh.cache.hits, fresh.cache.misses) == (2, 0)


def test_what_the_new_model_does_not_know_is_passed_over(service: ShopService) -> None:
    fresh = LiveRecommender(service.shop.base, service.live)
    known = Query(user=service.shop.base.dataset.user_ids.all[0])
    warm(fresh, [Query(placement="similar", items=("nothing",)), known])
    fresh.from_cache(known)
    assert fresh.cache.hits == 1


def test_known_people_are_prepared_with_the_newest_first(service: ShopService) -> None:
    dataset = service.shop.base.dataset
    queries = [query for query in ahead(service.shop) if not query.items]
    assert {q.user for q in queries} == set(dataset.user_ids.all)
    rows = [dataset.user_ids.row(str(q.user)) for q in queries]
    now = dataset.histories().now[rows]
    assert (now[:-1] >= now[1:]).all()


def test_items_are_prepared_with_those_of_most_events_first(service: ShopService) -> None:
    dataset = service.shop.base.dataset
    queries = [query for query in ahead(service.shop) if query.items]
    assert queries == list(ahead(service.shop))[-len(queries) :]
    rows = [dataset.item_ids.row(query.items[0]) for query in queries]
    assert set(rows) == set(np.flatnonzero(dataset.item_counts).tolist())
    assert (np.diff(dataset.item_counts[rows]) <= 0).all()
    assert {query.placement for query in queries} == {"goes_with"}


def test_lists_are_made_while_nobody_asks(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await service.prepare()
        users = service.shop.base.dataset.user_ids.all
        for user in users:
            assert (await client.get(f"/api/recommend/{user}")).status_code == 200
        assert service.shop.cache.hits == len(users)
        item = service.shop.base.dataset.item_ids.id(int(service.shop.base.dataset.item_counts.argmax()))
        assert (await client.get(f"/api/items/{item}/goes-with")).status_code == 200
        assert service.shop.cache.hits == len(users) + 1

    talk(service, conversation)
    assert service.batcher.calm > 0


def test_what_is_kept_is_not_made_again(service: ShopService) -> None:
    user = service.shop.base.dataset.user_ids.all[0]
    query = Query(user=user)
    assert not service.shop.is_cached(query)
    service.shop.score_many([query])
    assert service.shop.is_cached(query)
    service.live.add([Event(None, user, service.shop.base.dataset.item_ids.id(0), "view", 2e9)])
    assert not service.shop.is_cached(query)


def test_preparing_ends_with_the_service(service: ShopService) -> None:
    async def conversation() -> None:
        preparing = asyncio.create_task(service.prepare())
        await asyncio.sleep(0)
        preparing.cancel()
        await asyncio.gather(preparing, return_exceptions=True)
        assert preparing.cancelled()

    asyncio.run(conversation())


def test_preparing_goes_on_with_a_model_that_lacks_an_item(
    service: ShopService, shop_items: pl.DataFrame, shop_events: pl.DataFrame
) -> None:
    *_, lacking, last = [query.items[0] for query in ahead(service.shop) if query.items]
    few = import_frames(
        shop_items.filter(pl.col("item_id") != lacking),
        shop_events.filter(pl.col("item_id") != lacking),
        columns={"items": {"categories": ["department", "aisle"]}},
    ).dataset

    async def conversation() -> None:
        preparing = asyncio.create_task(service.prepare())
        await asyncio.sleep(0)
        other = LiveRecommender(fitted(few), service.live)
        service._current.state = replace(service.state, recommender=other)
        await preparing
        assert other.is_cached(Query(items=(last,), placement="goes_with"))

    asyncio.run(conversation())


def test_what_fails_in_the_background_keeps_no_service_from_stopping(
    service: ShopService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*_: object) -> None:
        raise RuntimeError("preparing failed")

    stop, stopped = service.stop, []

    async def stopping() -> None:
        stopped.append(True)
        await stop()

    monkeypatch.setattr(service, "prepare", failing)
    monkeypatch.setattr(service, "stop", stopping)
    app = create_app(service)

    async def conversation() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0.01)

    asyncio.run(conversation())
    assert "preparing failed" in caplog.text
    assert stopped
