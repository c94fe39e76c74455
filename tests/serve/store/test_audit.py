"""The audit log: no deed without its line, no line without its deed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Store
from tests.serve.conftest import talk

ARMS = [{"name": "one"}, {"name": "two", "controls": {"diversity": 0.3}}]
DEEDS: dict[str, tuple[str, str, Any]] = {
    "deleted item bread": ("DELETE", "/api/items/bread", None),
    "activated model b": ("POST", "/api/models/activate", {"name": "b"}),
    "rolled the model back": ("POST", "/api/models/roll-back", None),
    "started experiment more": ("POST", "/api/experiments", {"name": "more", "arms": ARMS}),
    "stopped experiment more": ("POST", "/api/experiments/more/stop", None),
}


async def seen(client: httpx.AsyncClient) -> list[Any]:
    """What the deeds change."""
    item = (await client.get("/api/items/bread")).status_code
    models = (await client.get("/api/models")).json()
    experiments = (await client.get("/api/experiments")).json()
    running = [(one["experiment"]["name"], one["running"]) for one in experiments]
    return [item, models["active"], models["previous"], running]


def test_every_deed_has_its_line(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for method, path, body in DEEDS.values():
            assert (await client.request(method, path, json=body)).status_code < 300
        lines = (await client.get("/api/audit")).json()
        assert [line["what"] for line in lines] == list(DEEDS)[::-1]
        assert all(line["who"].startswith("no key, ") and line["time"] > 1.7e9 for line in lines)

    talk(service, conversation)


def test_what_cannot_be_noted_is_not_done(model: Path, place: str | Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for method, path, body in DEEDS.values():
            service.store.submit(lambda c: c.execute("ALTER TABLE audit RENAME TO hidden")).result()
            before = await seen(client)
            assert (await client.request(method, path, json=body)).status_code == 503, path
            assert await seen(client) == before, path
            service.store.submit(lambda c: c.execute("ALTER TABLE hidden RENAME TO audit")).result()
            assert (await client.request(method, path, json=body)).status_code < 300
            assert await seen(client) != before, path

    with closing(ShopService.open(model, place, model.parent)) as service:
        talk(service, conversation)
    with closing(Store(place)) as store:
        assert [line["what"] for line in store.audit()] == list(DEEDS)[::-1]


def test_nothing_is_noted_of_what_was_refused(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.delete("/api/items/nothing")).status_code == 404
        assert (await client.delete("/api/items/bread/picture")).status_code == 404
        assert (await client.post("/api/models/activate", json={"name": "nothing"})).status_code == 404
        assert (await client.get("/api/audit")).json() == []

    talk(service, conversation)
