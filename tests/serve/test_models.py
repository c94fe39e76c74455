"""Switching models: warm before it serves, refused when damaged, back in one call."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


def test_a_switch_drops_no_request_and_keeps_events_and_items(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/events", json={"user": "zoe", "item": "bread"})
        await client.put("/api/items/rye", json={"title": "Rye bread"})
        done = False
        statuses = []

        async def keep_asking() -> None:
            while not done:
                statuses.append((await client.get("/api/recommend/zoe")).status_code)
                await asyncio.sleep(0.001)  # an answer from memory leaves nobody else a turn

        asking = asyncio.create_task(keep_asking())
        answer = await client.post("/api/models/activate", json={"name": "b"})
        assert answer.json()["active"] == "b"
        assert answer.json()["known"] == ["a", "b"]
        done = True
        await asking
        assert set(statuses) == {200}
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        assert (await client.get("/api/items/rye")).status_code == 200
        assert (await client.post("/api/models/roll-back")).json()["active"] == "a"
        assert (await client.get("/api/health/ready")).json()["model"] == "a"

    talk(service, conversation)


def test_another_model_gives_other_lists(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = (await client.get("/api/recommend/eve?n=3")).json()["items"]
        await client.post("/api/models/activate", json={"name": "b"})
        after = (await client.get("/api/recommend/eve?n=3")).json()["items"]
        assert [r["score"] for r in before] != [r["score"] for r in after]

    talk(service, conversation)


def test_a_damaged_model_is_refused_and_the_old_one_serves(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(model, folder / "good")
    shutil.copytree(model, folder / "bad")
    array = next((folder / "bad").rglob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"?")
    service = ShopService.open(folder / "good", tmp_path / "s.sqlite", folder)

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/models/activate", json={"name": "bad"})
        assert answer.status_code == 409
        assert "does not match its checksum" in answer.json()["detail"]
        assert (await client.get("/api/recommend/ann")).status_code == 200
        assert (await client.get("/api/models")).json()["active"] == "good"
        for name in ("ghost", "../good", "/etc"):
            assert (await client.post("/api/models/activate", json={"name": name})).status_code == 404
        assert (await client.post("/api/models/roll-back")).status_code == 422

    talk(service, conversation)
    service.close()
