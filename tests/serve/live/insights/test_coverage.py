"""How much of the catalogue lists showed: told from sketches, kept over a restart, added up over workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from crossaisle.serve.live.insights.coverage import Shown
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.totals import TotalsTable
from tests.serve.conftest import talk


@pytest.mark.parametrize(("n", "off"), [(0, 0.0), (1, 0.001), (300, 0.01), (25_000, 0.01), (200_000, 0.02)])
def test_different_products_are_told_from_a_sketch(n: int, off: float) -> None:
    one = Shown()
    for _ in range(2):
        one.add([f"{item}" for item in range(n)], 0)
    assert one.products == pytest.approx(n, rel=off)
    assert one.places == 2 * n


def test_what_is_kept_is_what_was_counted() -> None:
    one, other = Shown(), Shown()
    one.add(["a", "b"], 1)
    other.add(["b", "c"], 2)
    one.merge(Shown.unpacked(*json.loads(json.dumps(other.packed()))))
    assert (one.places, one.tail, round(one.products)) == (4, 3, 3)


async def covered(client: httpx.AsyncClient, days: int = 30) -> dict[str, dict[str, float]]:
    answer = (await client.get(f"/api/console/coverage?days={days}")).json()
    assert answer["products"] > 0
    return {row["placement"]: row for row in answer["placements"]} | {"": answer["lists"]}


def test_coverage_survives_a_restart_and_adds_up_over_workers(model: Path, place: str | Path) -> None:
    service = ShopService.open(model, place)

    async def first(client: httpx.AsyncClient) -> None:
        assert (await covered(client)) == {"": {"places": 0, "tail_places": 0, "products": 0, "share": 0.0}}
        shown = (await client.get("/api/recommend/ann?n=3")).json()["items"]
        found = await covered(client)
        assert found["for_you"]["places"] == found["for_you"]["products"] == len(shown)
        total = service.shop.dataset.n_items
        assert found["for_you"]["share"] == pytest.approx(len(shown) / total)
        best = service.insights.coverage.best
        assert found["for_you"]["tail_places"] == sum(item["item_id"] not in best for item in shown)

    talk(service, first)
    service.close()
    again = ShopService.open(model, place)

    async def second(client: httpx.AsyncClient) -> None:
        places = (await covered(client))["for_you"]["places"]
        assert places == 3
        today = (await client.get("/api/console/totals")).json()["today"]
        theirs = Shown()
        theirs.add(["of another worker"], 1)
        body = json.dumps({"discover": theirs.packed()})
        other = TotalsTable(again.store, worker=3, name="coverage")
        await asyncio.wrap_future(other.put({today: body, today - 40: body}))
        found = await covered(client)
        assert found["discover"]["places"] == 1
        assert found[""]["places"] == places + 1
        assert (await covered(client, days=60))["discover"]["places"] == 2

    talk(again, second)
    again.close()


def test_best_sellers_hold_half_of_the_events(service: ShopService) -> None:
    dataset = service.shop.base.dataset
    counts = dict(zip(dataset.item_ids.all, dataset.item_counts.tolist(), strict=True))
    best = service.insights.coverage.best
    held = sorted((counts[item] for item in best.ids), reverse=True)
    assert sum(held) >= sum(counts.values()) / 2
    assert sum(held[:-1]) < sum(counts.values()) / 2
    assert min(held) >= max(count for item, count in counts.items() if item not in best)
