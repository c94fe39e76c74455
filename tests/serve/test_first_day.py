"""A shop without a single event is served, and its lists follow the first ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.pipeline.fit import fit
from crossaisle.serve.limits.live import HistoryLimits, LiveLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.service import ShopService
from tests.models.shops import tiny_shop
from tests.serve.conftest import talk


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a catalogue and nothing else."""
    shop = tiny_shop()
    empty = replace(
        shop.with_events(np.zeros(len(shop.events), bool)),
        users=shop.users.clear(),
        user_ids=type(shop.user_ids)([], what="user"),
    )
    folder = tmp_path_factory.mktemp("models") / "a"
    fitted = fit(empty, split_config=SplitConfig(), model_config=ModelConfig(encoder="none"))
    fitted.to_serve(empty).save(folder, half=True)
    return folder


@pytest.fixture
def service(first_day: Path, tmp_path: Path) -> Iterator[ShopService]:
    limits = ServingLimits(live=LiveLimits(histories=HistoryLimits(count_seconds=0.0)))
    opened = ShopService.open(first_day, tmp_path / "store.sqlite", first_day.parent, limits=limits)
    yield opened
    opened.close()


def test_lists_follow_the_first_events(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def ids(path: str) -> tuple[list[str], list[str]]:
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            return [item["item_id"] for item in body["items"]], body["notices"]

        everybody, notices = await ids("/api/recommend/ann?n=5")
        assert everybody == ["milk0", "spade0", "paint0", "milk1", "bread1"]  # bread0 is out of stock
        assert notices == [
            "unknown user 'ann': showing trending items instead",
            "no events yet: ranked by the order of the catalogue",
        ]
        similar, notices = await ids("/api/items/bread2/similar?n=4")
        assert {name[:-1] for name in similar} == {"bread"}
        assert notices == ["no events yet: ranked by texts"]
        now = time.time()
        event = {"user": "ann", "item": "paint3", "time": now, "kind": "purchase"}
        posted = await client.post("/api/events", json=event)
        assert posted.status_code == 200, posted.text
        own, notices = await ids("/api/recommend/ann?n=5")
        assert {name[:-1] for name in own} == {"paint"}
        assert notices == ["no events when the model was fitted: ranked by texts"]
        everybody, notices = await ids("/api/recommend/bob?n=4")
        assert everybody == ["paint3", "milk0", "spade0", "paint0"]  # what sells, then the rest
        assert notices == ["unknown user 'bob': showing trending items instead"]
        other, _ = await ids("/api/recommend/ann?n=5&placement=discover")
        assert len(other) == 5
        assert "paint" not in {name[:-1] for name in other}
        page = await client.get("/")
        assert page.status_code == 200
        for path in (
            "/api/items?q=bread",
            "/api/categories",
            "/api/users/ann",
            "/api/console",
            "/api/console/links",
            "/api/trending",
            "/api/health/ready",
            "/metrics",
        ):
            assert (await client.get(path)).status_code == 200, path

    talk(service, conversation)
