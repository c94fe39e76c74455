"""Experiments through the service: who gets which list, what is logged, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.conftest import talk

AB: dict[str, Any] = {"name": "ab", "arms": [{"name": "a"}, {"name": "b", "model": "b"}], "goal": ["cart"]}


def test_two_models_side_by_side(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = (await client.get("/api/recommend/eve?n=3")).json()
        assert "experiment" not in before
        made = await client.post("/api/experiments", json=AB)
        assert made.status_code == 201, made.text
        await client.put("/api/items/rye", json={"title": "Rye bread loaf"})  # arms follow the catalogue
        lists: dict[str, Any] = {}
        for n in range(40):
            user = f"new-{n}"
            await client.post("/api/events", json={"user": user, "item": "cake"})
            answer = (await client.get(f"/api/recommend/{user}?n=3")).json()
            lists[answer["experiment"]["arm"]] = [r["score"] for r in answer["items"]]
            assert answer["experiment"]["name"] == "ab"
            again = (await client.get(f"/api/recommend/{user}?n=3")).json()
            assert again["experiment"] == answer["experiment"]
        assert lists["a"] != lists["b"]
        log = (await client.get("/api/experiments/ab/exposures")).json()
        assert len(log) == 40  # each once, though asked twice
        assert {line["share"] for line in log} == {0.5}
        assert {tuple(line["propensities"]) for line in log} == {(1.0, 1.0, 1.0)}
        rest = await client.get(f"/api/experiments/ab/exposures?after={log[9]['seq']}&n=5")
        assert [line["seq"] for line in rest.json()] == [line["seq"] for line in log[10:15]]
        stopped = (await client.post("/api/experiments/ab/stop")).json()
        assert (stopped["running"], stopped["exposures"]) == (False, 40)
        assert "experiment" not in (await client.get("/api/recommend/new-1")).json()
        whats = [line["what"] for line in (await client.get("/api/audit")).json()]
        assert whats == ["stopped experiment ab", "started experiment ab"]

    talk(service, conversation)


def test_rewards_arrive(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/experiments", json={**AB, "window_hours": 0.5 / 3600})
        shown = (await client.get("/api/recommend/ann?n=3")).json()
        await client.post(
            "/api/events", json={"user": "ann", "item": shown["items"][0]["item_id"], "kind": "cart"}
        )
        await client.get("/api/recommend/bob?n=3")
        await asyncio.sleep(0.6)
        found = (await client.get("/api/experiments/ab")).json()
        assert found["users"] == 2
        means = {arm["name"]: arm for arm in found["arms"]}
        assert means[shown["experiment"]["arm"]]["mean"] > 0
        assert (await client.get("/api/experiments")).json()[0]["users"] == 2

    talk(service, conversation)


def test_weights_controls_exploring_and_interleaving(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        arms: list[dict[str, Any]] = [
            {"name": "popular", "weights": {"popularity": 1.0}},
            {"name": "drawn", "explore": 0.5, "controls": {"exclude_seen": True}},
        ]
        made = await client.post("/api/experiments", json={"name": "w", "arms": arms})
        assert made.status_code == 201, made.text
        drawn = None
        for user in ("ann", "bob", "cid", "dee", "eve"):
            answer = (await client.get(f"/api/recommend/{user}?n=3")).json()
            again = (await client.get(f"/api/recommend/{user}?n=3")).json()
            assert [r["rank"] for r in answer["items"]] == [1, 2, 3]
            assert answer["items"] == again["items"]  # the same until something happens
            drawn = user if answer["experiment"]["arm"] == "drawn" else drawn
        log = (await client.get("/api/experiments/w/exposures")).json()
        line = next(line for line in log if line["user"] == drawn)
        assert all(0 < p < 1 for p in line["propensities"])
        assert len(line["ranked"]) == 3
        await client.post("/api/experiments/w/stop")
        body = {"name": "i", "kind": "interleaving", "arms": AB["arms"]}
        assert (await client.post("/api/experiments", json=body)).status_code == 201
        answer = (await client.get("/api/recommend/ann?n=4")).json()
        assert answer["experiment"] == {"name": "i", "arm": None}
        (line,) = (await client.get("/api/experiments/i/exposures")).json()
        assert sorted(line["teams"]) == [0, 0, 1, 1]
        assert line["propensities"] == []

    talk(service, conversation)


def test_only_lists_for_a_person_and_the_placement_take_part(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/experiments", json=AB)
        for answer in (
            await client.get("/api/recommend/ann?placement=discover"),
            await client.post("/api/recommend", json={"history": ["bread"]}),
            await client.get("/api/items/bread/goes-with"),
        ):
            assert "experiment" not in answer.json()
        answer = await client.post("/api/recommend", json={"user": "ann"})
        assert answer.json()["experiment"]["name"] == "ab"

    talk(service, conversation)


def test_a_person_is_forgotten_in_the_log_too(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/experiments", json=AB)
        await client.get("/api/recommend/ann?n=2")
        await client.get("/api/experiments/ab")  # written by now
        known = (await client.get("/api/users/ann")).json()
        assert [line["experiment"] for line in known["shown"]] == ["ab"]
        await client.post("/api/events", json={"user": "ann", "item": "soap"})
        await client.get("/api/recommend/ann?n=2")  # still waits to be written
        await client.delete("/api/users/ann")
        assert (await client.get("/api/experiments/ab/exposures")).json() == []

    talk(service, conversation)


def test_what_cannot_be_is_refused(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        async def refused(status: int, detail: str, **more: Any) -> None:
            answer = await client.post("/api/experiments", json={**AB, **more})
            assert answer.status_code == status, answer.text
            assert detail in answer.json()["detail"]

        await refused(404, "no model 'c'", arms=[{"name": "a"}, {"name": "c", "model": "c"}])
        await refused(422, "no part 'knn'", arms=[{"name": "a"}, {"name": "b", "weights": {"knn": 1.0}}])
        await refused(422, "differ from 0", arms=[{"name": "a"}, {"name": "b", "weights": {}}])
        await refused(422, "at least 2", arms=[{"name": "a"}])
        await refused(422, "different names", arms=[{"name": "a"}, {"name": "a"}])
        await refused(422, "body.name", name="a/b")
        assert (await client.post("/api/experiments", json=AB)).status_code == 201
        await refused(409, "already")
        await refused(409, "stop it first", name="other")
        assert (await client.get("/api/experiments/abc")).status_code == 404
        assert (await client.post("/api/experiments/abc/stop")).status_code == 404
        assert (await client.get("/api/experiments/abc/exposures")).status_code == 404

    talk(service, conversation)


def test_it_goes_on_after_a_restart_and_a_switch(model: Path, tmp_path: Path) -> None:
    def open_it() -> ShopService:
        return ShopService.open(model, tmp_path / "s.sqlite", model.parent)

    arms: dict[str, str] = {}

    async def before(client: httpx.AsyncClient) -> None:
        body = {**AB, "arms": [{"name": "a"}, {"name": "b", "weights": {"tfidf": 1.0}}]}
        assert (await client.post("/api/experiments", json=body)).status_code == 201
        for user in ("ann", "bob", "cid"):
            arms[user] = (await client.get(f"/api/recommend/{user}")).json()["experiment"]["arm"]

    async def after(client: httpx.AsyncClient) -> None:
        await client.post("/api/models/activate", json={"name": "b"})
        for user, arm in arms.items():
            assert (await client.get(f"/api/recommend/{user}")).json()["experiment"]["arm"] == arm
        assert (await client.get("/api/experiments/ab")).json()["running"]

    for conversation in (before, after):
        service = open_it()
        talk(service, conversation)
        service.close()


def test_an_arm_whose_model_is_gone_does_not_stop_the_service(service: ShopService, model: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.post("/api/experiments", json=AB)

    talk(service, conversation)
    service.close()
    alone = ShopService.open(model, service.store.path)  # without a folder of models

    async def later(client: httpx.AsyncClient) -> None:
        assert "experiment" not in (await client.get("/api/recommend/ann")).json()
        found = (await client.get("/api/experiments/ab")).json()
        assert "no model 'b'" in found["broken"]
        assert not (await client.post("/api/experiments/ab/stop")).json()["running"]

    talk(alone, later)
    alone.close()


def test_experiments_need_the_scope_admin(service: ShopService) -> None:
    token = add_key(service.store, "shop", ["read", "write"])

    async def conversation(client: httpx.AsyncClient) -> None:
        headers = {"authorization": f"Bearer {token}"}
        assert (await client.get("/api/experiments", headers=headers)).status_code == 403
        assert (await client.post("/api/experiments", json=AB, headers=headers)).status_code == 403

    talk(service, conversation)
