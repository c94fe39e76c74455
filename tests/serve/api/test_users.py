"""People: everything that is kept, in pages; deleted where anything was known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from crossaisle.client import Client
from crossaisle.serve.api.routes import user_pages
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import running, talk


def test_events_come_in_pages(service: ShopService) -> None:
    service.store.add([Event(None, "zoe", f"i{n}", "view", 1.7e9 - n) for n in range(25)]).result()

    async def conversation(client: httpx.AsyncClient) -> None:
        seen, after = [], 0
        while after is not None:
            page = (await client.get(f"/api/users/zoe?n=10&after={after}")).json()
            assert (page["total"], len(page["events"]) <= 10) == (25, True)
            seen += [event["item"] for event in page["events"]]
            after = page["next"]
        assert seen == [f"i{n}" for n in range(25)]
        shown = (await client.post("/api/users/show", json={"user": "zoe", "n": 25})).json()
        assert (len(shown["events"]), shown["next"]) == (25, None)
        for wrong in ("n=0", "n=10001", "after=-1", "after=x"):
            assert (await client.get(f"/api/users/zoe?{wrong}")).status_code == 422

    talk(service, conversation)


def test_pages_are_the_same_in_every_database(place: str | Path) -> None:
    store = Store(place)
    try:
        log = ExperimentLog(store)
        store.add(
            [Event(None, user, f"i{n}", "view", 1.7e9 - n) for n in range(5) for user in ("zoe", "kim")]
        ).result()
        log.add([Exposure("x", "a", "zoe", 1.0, ("bread",), (1.0,), 0.5)]).result()
        first = user_pages.page(store, log, "zoe", 3, 0, 0)
        rest = user_pages.page(store, log, "zoe", 3, first["next"], 2**62 - 1)
        assert [e["item"] for e in first["events"] + rest["events"]] == [f"i{n}" for n in range(5)]
        assert (first["total"], rest["next"], len(first["shown"]), rest["shown"]) == (5, None, 1, [])
        nobody = user_pages.page(store, log, "nobody", 3, 0, 0)
        assert (nobody["total"], nobody["shown_total"], nobody["next"]) == (0, 0, None)
    finally:
        store.close()


def test_lists_that_were_shown_come_in_pages(service: ShopService) -> None:
    log = service.experiments.log
    log.add(
        [Exposure("x", "a", "zoe", float(n), ("bread",), (1.0,), 0.5) for n in range(user_pages.LISTS + 5)]
    ).result()

    async def conversation(client: httpx.AsyncClient) -> None:
        first = (await client.get("/api/users/zoe")).json()
        assert (len(first["shown"]), first["shown_total"]) == (user_pages.LISTS, user_pages.LISTS + 5)
        rest = (await client.get(f"/api/users/zoe?shown_after={first['shown_next']}")).json()
        assert (len(rest["shown"]), rest["shown_next"]) == (5, None)

    talk(service, conversation)


def test_the_client_gathers_the_pages(service: ShopService) -> None:
    service.store.add([Event(None, "zoe", f"i{n}", "view", 1.7e9 - n) for n in range(10_500)]).result()
    log = service.experiments.log
    log.add([Exposure("x", "a", "zoe", float(n), (), (), 0.5) for n in range(user_pages.LISTS + 5)]).result()
    with running(service) as address, Client(address) as client:
        found = client.user("zoe")
    assert [event.item for event in found.events] == [f"i{n}" for n in reversed(range(10_500))]
    assert len({one.time for one in found.shown}) == len(found.shown) == user_pages.LISTS + 5
    assert (found.next, found.shown_next, found.total) == (None, None, 10_500)


def test_nobody_is_not_deleted(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for answer in (
            await client.delete("/api/users/nobody"),
            await client.post("/api/users/delete", json={"user": "nobody"}),
        ):
            assert answer.status_code == 404
            assert answer.json()["detail"] == "nothing is known about user 'nobody': nothing was deleted"
        assert (await client.get("/api/audit")).json() == []
        assert (await client.post("/api/users/show", json={"user": "nobody"})).status_code == 404
        # Known by attributes alone, by the model alone, and for having been deleted before.
        await client.put("/api/users/yan", json={"city": "Ghent"})
        for name in ("yan", "ann", "ann"):
            assert (await client.delete(f"/api/users/{name}")).json()["events_deleted"] == 0
        log = service.experiments.log
        await asyncio.wrap_future(log.add([Exposure("x", "a", "kim", 1.0, (), (), 0.5)]))
        assert (await client.post("/api/users/delete", json={"user": "kim"})).status_code == 200
        assert log.exposures_of("kim") == []

    talk(service, conversation)
