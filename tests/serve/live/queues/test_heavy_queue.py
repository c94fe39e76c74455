"""Heavy questions: only what is shown is explained, plain lists pass, and waiting has a bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
import httpx

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.recommend.explain import Explanation, explain
from crossaisle.serve.limits.live import QueueLimits
from crossaisle.serve.live.queues.heavy_queue import Heavy, Overloaded, TooMany, is_heavy
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Item rows that were explained."""
    rows: list[int] = []

    def spy(dataset: Dataset, parts: Any, context: Any, row: int, placement: Any, **more: Any) -> Explanation:
        rows.append(row)
        return explain(dataset, parts, context, row, placement, **more)

    monkeypatch.setattr("crossaisle.recommend.ranker.explain", spy)
    return rows


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Explanations wait for it."""
    go = threading.Event()

    def waiting(*arguments: Any, **more: Any) -> Explanation:
        assert go.wait(30)
        return explain(*arguments, **more)

    monkeypatch.setattr("crossaisle.recommend.ranker.explain", waiting)
    yield go
    go.set()


@pytest.mark.parametrize(
    "query",
    [
        Query(user="ann", explain=True),
        Query(user="ann", n=101),
        Query(user="ann", n=51, diversity=0.1),
        Query(user="ann", include_categories=tuple(map(str, range(21)))),
        Query(user="ann", quotas={str(n): 1 for n in range(21)}),
        Query(user="ann", include_items=("a",) * 501, exclude_items=("b",) * 500),
    ],
)
def test_what_is_heavy(query: Query) -> None:
    assert is_heavy(query)


def test_what_is_plain() -> None:
    controls: dict[str, Any] = {"cross_share": 0.5, "diversity": 0.5, "quota": 2, "min_price": 1.0}
    assert not is_heavy(Query(user="ann", n=50, quotas={"Dairy": 1}, **controls))
    assert not is_heavy(Query(user="ann", n=100, cross_share="auto"))
    assert not is_heavy(Query(placement="goes_with", items=("a",) * 100))
    assert not is_heavy(Query(history=("a",) * 1000))
    assert not is_heavy(Query(user="ann", include_items=("a",) * 500, exclude_items=("b",) * 500))


def test_places_that_are_passed_over_are_not_explained(service: ShopService, explained: list[int]) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        whole = (await client.get("/api/recommend/ann?n=8&explain=true")).json()["items"]
        assert len(explained) == len(whole) == 5
        explained.clear()
        rest = (await client.get("/api/recommend/ann?n=3&offset=2&explain=true")).json()["items"]
        assert len(explained) == 3
        assert rest == whole[2:5]
        explained.clear()
        for path in ("goes-with", "similar"):
            await client.get(f"/api/items/bread/{path}?n=1&offset=1&explain=true")
        assert len(explained) == 2

    talk(service, conversation)


@pytest.mark.parametrize(
    "path",
    [
        "/api/recommend/ann?n=21&explain=true",
        "/api/items/bread/goes-with?n=21&explain=true",
        "/api/items/bread/similar?n=21&explain=true",
    ],
)
def test_twenty_places_are_explained_at_once(service: ShopService, path: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        says = "n must be at most 20 with explain (found 21): use offset for the rest"
        answers = [
            await client.get(path),
            await client.post("/api/recommend", json={"user": "ann", "n": 21, "explain": True}),
        ]
        assert [(one.status_code, one.json()["detail"]) for one in answers] == [(422, says)] * 2
        assert (await client.get(path.replace("21", "20"))).status_code == 200

    talk(service, conversation)


def test_plain_lists_pass_heavy_ones(service: ShopService, gate: threading.Event) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        heavy_ones = [asyncio.ensure_future(client.get("/api/recommend/ann?explain=true")) for _ in range(4)]
        await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(10):
                for item in ("bread", "milk", "cake"):
                    plain = await client.post("/api/recommend", json={"history": [item]})
                    assert plain.status_code == 200
            assert not any(one.done() for one in heavy_ones)
        finally:
            gate.set()
        assert [one.status_code for one in await asyncio.gather(*heavy_ones)] == [200] * 4

    talk(service, conversation)


def test_one_client_has_so_many_heavy_questions_waiting(service: ShopService, gate: threading.Event) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        asked = [
            asyncio.ensure_future(client.get("/api/recommend/ann?explain=true"))
            for _ in range(QueueLimits().heavy_per_client)
        ]
        await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(10):
                more = await client.get("/api/recommend/bob?explain=true")
        finally:
            gate.set()
        assert (more.status_code, more.headers["retry-after"]) == (429, "1")
        assert more.json()["detail"] == (
            "8 of your heavy requests are waiting (explanations, long lists): "
            "wait for an answer before you send the next one"
        )
        assert {one.status_code for one in await asyncio.gather(*asked)} == {200}
        assert (await client.get("/api/recommend/bob?explain=true")).status_code == 200

    talk(service, conversation)


def test_only_so_many_wait_in_all() -> None:
    limits = QueueLimits(waiting_heavy=3, heavy_per_client=2)

    async def run() -> None:
        go, lane = threading.Event(), Heavy(limits)
        asked = [asyncio.ensure_future(lane.run(who, go.wait, 5)) for who in ("a", "a")]
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await lane.run("a", lambda: True)
        asked.append(asyncio.ensure_future(lane.run("b", go.wait, 5)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="too many heavy requests are waiting: try again in a moment"):
            await lane.run("c", lambda: True)
        assert lane.busy
        go.set()
        assert all(await asyncio.gather(*asked))
        assert not lane.busy
        assert await lane.run("a", lambda: 7) == 7
        lane.close()

    asyncio.run(run())


def test_mixed_lists_of_an_experiment_explain_what_is_shown(
    service: ShopService, explained: list[int]
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        arms: list[dict[str, Any]] = [{"name": "a"}, {"name": "b", "model": "b"}]
        drawn = [{"name": "a", "explore": 0.5}, {"name": "b", "model": "b", "explore": 0.5}]
        for body in (
            {"name": "mixed", "kind": "interleaving", "arms": arms},
            {"name": "drawn", "arms": drawn},
        ):
            assert (await client.post("/api/experiments", json=body)).status_code == 201
            for user in ("ann", "bob", "new"):
                explained.clear()
                plain = (await client.get(f"/api/recommend/{user}?n=3&offset=2")).json()["items"]
                told = (await client.get(f"/api/recommend/{user}?n=3&offset=2&explain=true")).json()["items"]
                assert len(explained) == len(told) == 3
                assert [one["item_id"] for one in told] == [one["item_id"] for one in plain]
                for one in told:
                    assert one["evidence"]["item_id"] == one["item_id"]
                    assert one["evidence"]["score"] == pytest.approx(one["score"], rel=1e-4)
            await client.post(f"/api/experiments/{body['name']}/stop")

    talk(service, conversation)
