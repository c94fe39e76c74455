"""A merchandiser's rules over HTTP: who may change them, what is refused, and that they hold at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.client import Client
from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.errors import ServiceError
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.refit import fitted_on
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.store.store import Store
from tests.serve.conftest import always_fresh, fitted, running, talk

LIST = "/api/recommend/ann?n=3&exclude_seen=false"


async def shown(client: httpx.AsyncClient, path: str = LIST) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_a_rule_holds_at_once_and_is_told_in_every_list(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = await shown(client)
        first = before[0]
        assert (await client.get("/api/rules")).json() == {"source": "model", "rules": []}
        put = await client.put("/api/rules/recall", json={"action": "never", "items": [f"item:{first}"]})
        assert put.status_code == 200
        assert (put.json()["matches"], put.json()["notices"]) == (1, [])
        answer = (await client.get(LIST)).json()
        assert first not in [item["item_id"] for item in answer["items"]]
        assert answer["rules"] == [{"id": "recall", "action": "never", "items": [first], "reason": ""}]
        assert 0 < answer["rules_cost"] < 1
        await client.patch("/api/rules/recall", json={"action": "pin", "position": 2, "reason": "why"})
        assert (await shown(client))[1] == first
        assert (await client.get("/api/rules/recall")).json()["reason"] == "why"
        await client.patch("/api/rules/recall", json={"reason": None})
        dated = await client.patch("/api/rules/recall", json={"until": "2126-12-24"})
        assert (dated.status_code, dated.json()["until"]) == (200, "2126-12-24")
        await client.patch("/api/rules/recall", json={"until": None})
        assert (await client.get("/api/rules/recall")).json()["reason"] == ""
        assert (await client.delete("/api/rules/recall")).status_code == 204
        assert await shown(client) == before
        found = (await client.get("/api/rules")).json()
        assert found == {"source": "shop", "rules": []}, "the shop has rules of its own now: none"

    talk(service, conversation)


def test_adults_only_needs_the_word(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = await shown(client)
        await client.put(
            "/api/rules/age", json={"action": "adults-only", "items": [f"item:{one}" for one in before]}
        )
        assert not set(before) & set(await shown(client))
        assert await shown(client, f"{LIST}&adult=true") == before
        asked = {"user": "ann", "n": 3, "exclude_seen": False, "adult": True}
        body = (await client.post("/api/recommend", json=asked)).json()
        assert [item["item_id"] for item in body["items"]] == before

    talk(service, conversation)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"action": "never", "items": ["category:Nowhere"]}, "unknown category 'Nowhere'"),
        ({"action": "nevr", "items": ["item:bread"]}, "action"),
        ({"action": "never", "items": ["item:bread"], "untill": "2026-01-01"}, "did you mean"),
        ({"action": "pin", "items": ["item:bread"]}, "pin needs position"),
        ({"action": "pin", "items": ["item:bread"], "position": 1}, "pin the same place 1"),
        ({"action": "never", "items": ["item:bread"], "until": "soon"}, "until"),
        ({"action": "never", "items": ["item:bread"], "until": 86400}, "must be a day such as 2026-12-31"),
        ({"action": "never", "items": ["item:bread"], "since": "1700006400"}, "must be a day"),
    ],
)
def test_a_refused_rule_leaves_the_old_ones_in_force(
    service: ShopService, body: dict[str, Any], said: str
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        old = {"id": "old", "action": "pin", "items": ["item:jam"], "position": 1}
        assert (await client.put("/api/rules", json={"rules": [old]})).status_code == 200
        before, audit = (await client.get("/api/rules")).json(), (await client.get("/api/audit")).json()
        lists = await shown(client)
        for method, path, sent in (
            ("PUT", "/api/rules/new", body),
            ("PUT", "/api/rules", {"rules": [old, {"id": "new", **body}]}),
        ):
            answer = await client.request(method, path, json=sent)
            assert answer.status_code == 422, answer.text
            assert said in answer.text
        assert (await client.get("/api/rules")).json() == before
        assert (await client.get("/api/audit")).json() == audit
        assert await shown(client) == lists

    talk(service, conversation)


def test_unknown_rules_and_ids_that_differ_are_refused(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for method in ("GET", "PATCH", "DELETE"):
            body = {"json": {"reason": "x"}} if method == "PATCH" else {}
            answer = await client.request(method, "/api/rules/none", **body)
            assert (answer.status_code, "no rule 'none'" in answer.text) == (404, True)
        twice = {"rules": [{"id": "a", "action": "never", "items": ["item:jam"]}] * 2}
        assert "two rules are called 'a'" in (await client.put("/api/rules", json=twice)).text
        answer = await client.put("/api/rules/a%20b", json={"action": "never", "items": ["item:jam"]})
        assert (answer.status_code, "id must be up to 64 letters" in answer.text) == (422, True)

    talk(service, conversation)


def test_merchandisers_change_rules_and_nothing_else(service: ShopService) -> None:
    keys = {
        scope: add_key(service.store, scope, [scope]) for scope in ("read", "write", "merchandise", "admin")
    }
    always_fresh(service)

    async def conversation(client: httpx.AsyncClient) -> None:
        async def status(scope: str, method: str, path: str, **more: Any) -> int:
            headers = {"Authorization": f"Bearer {keys[scope]}"}
            return (await client.request(method, path, headers=headers, **more)).status_code

        body = {"json": {"action": "never", "items": ["item:jam"]}}
        for scope, allowed in (("read", 403), ("write", 403), ("merchandise", 200), ("admin", 200)):
            assert await status(scope, "GET", "/api/rules") == allowed
            assert await status(scope, "PUT", "/api/rules/a", **body) == allowed
        assert await status("merchandise", "PUT", "/api/items/jam", json={"title": "jam"}) == 403
        assert await status("merchandise", "GET", "/api/models") == 403
        assert await status("merchandise", "DELETE", "/api/rules/a") == 204
        headers = {"Authorization": f"Bearer {keys['admin']}"}
        lines = (await client.get("/api/audit", headers=headers)).json()
        assert [(line["who"], line["what"]) for line in lines] == [
            ("merchandise", "deleted rule a"),
            ("admin", 'put rule a: {"action": "never", "items": ["item:jam"]}'),
            ("merchandise", 'put rule a: {"action": "never", "items": ["item:jam"]}'),
        ]

    talk(service, conversation)


def test_rules_survive_a_restart_and_another_model(model: Path, place: str | Path, tmp_path: Path) -> None:
    rule = {"id": "no-jam", "action": "never", "items": ["item:jam"]}

    async def put(client: httpx.AsyncClient) -> None:
        assert (await client.put("/api/rules", json={"rules": [rule]})).status_code == 200

    async def hold(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/rules")).json()["source"] == "shop"
        assert "jam" not in await shown(client, "/api/trending?n=20")
        assert (await client.post("/api/models/activate", json={"name": "b"})).status_code == 200
        assert "jam" not in await shown(client, "/api/trending?n=20")

    async def back(client: httpx.AsyncClient) -> None:
        assert (await client.delete("/api/rules")).json() == {"source": "model", "rules": []}
        assert "jam" in await shown(client, "/api/trending?n=20")

    for conversation in (put, hold, back):
        service = ShopService.open(model, place, model.parent)
        try:
            talk(service, conversation)
        finally:
            service.close()
    with_store = Store(place)
    assert with_store.rules() is None
    with_store.close()


def test_a_refit_keeps_the_rules_of_the_model(model: Path) -> None:
    base = Recommender.load(model)
    ruled = base.with_rules(RuleSet.of([{"id": "a", "action": "never", "items": ["item:jam"]}], "f"))
    assert fitted_on(ruled, base.dataset).rules == ruled.rules


def test_experiments_obey(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        arms = [{"name": "as-it-is"}, {"name": "popular", "weights": {"popularity": 1.0}}]
        body = {"name": "race", "kind": "interleaving", "arms": arms}
        assert (await client.post("/api/experiments", json=body)).status_code == 201
        await client.put("/api/rules/a", json={"action": "never", "items": ["item:bread", "item:jam"]})
        answer = (await client.get("/api/recommend/ann?n=20&exclude_seen=false")).json()
        assert answer["experiment"] == {"name": "race", "arm": None}
        assert not {"bread", "jam"} & {item["item_id"] for item in answer["items"]}

    talk(service, conversation)


def test_the_client_has_all_of_it(service: ShopService) -> None:
    with running(service) as url, Client(url) as client:
        assert client.rules().source == "model"
        made = client.put_rule("a", action="boost", items=["item:jam"], weight=3.0, until="2999-12-31")
        assert (made.weight, made.until, made.matches) == (3.0, "2999-12-31", 1)
        assert client.patch_rule("a", weight=None).weight is None
        found = client.put_rules([{"id": "b", "action": "never", "items": ["item:bread"]}])
        assert [rule.id for rule in found.rules] == ["b"]
        answer = client.trending(n=3)
        assert [rule.id for rule in answer.rules] == ["b"]
        assert answer.rules[0].items == ("bread",)
        client.delete_rule("b")
        assert client.reset_rules().source == "model"
        with pytest.raises(ServiceError, match="no rule 'b'"):
            client.delete_rule("b")


def test_a_model_with_rules_serves_them(shop: Any, tmp_path: Path) -> None:
    base = fitted(shop)
    base.with_rules(RuleSet.of([{"id": "a", "action": "never", "items": ["item:bread"]}], "f")).save(
        tmp_path / "m"
    )
    service = ShopService.open(tmp_path / "m", tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        found = (await client.get("/api/rules")).json()
        assert (found["source"], [rule["id"] for rule in found["rules"]]) == ("model", ["a"])
        assert "bread" not in await shown(client, "/api/trending?n=20")
        await client.put("/api/rules/b", json={"action": "never", "items": ["item:jam"]})
        assert [rule["id"] for rule in (await client.get("/api/rules")).json()["rules"]] == ["a", "b"]

    try:
        talk(service, conversation)
    finally:
        service.close()
