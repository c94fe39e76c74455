"""The client against a real server, and against one that is not well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="needs pip install 'crossaisle[client]'")
pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
import httpx

from crossaisle.api_types import Counted, Product, RecommendedList, read
from crossaisle.client import Client
from crossaisle.errors import ConfigError, ServiceError
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.conftest import model, running, service

__all__ = ["model", "service"]  # fixtures


@pytest.fixture
def client(service: ShopService) -> Iterator[Client]:
    with running(service) as address, Client(address, retries=1) as opened:
        yield opened


def test_lists_events_items_and_people(client: Client) -> None:
    assert client.ready().model == "a"
    assert client.recommend("ann", n=3, explain=True).items[0].why
    shown = client.recommend(
        history=["bread"], n=2, cross_share=0.5, exclude_categories=["Dairy"], quotas={"Pantry": 1}
    )
    assert len(shown.items) == 2
    assert client.goes_with("bread", n=1).placement == "goes_with"
    assert "rolls" in client.similar("bread").ids
    assert client.trending(n=1, include_categories=["Dairy"]).ids == ["butter"]
    ranked = client.rank(["milk?", "rolls", "butter", "bread"], "ann", exclude_categories=["Dairy"])
    assert sorted(ranked.ids) == ["bread", "rolls"]
    assert [(one.item_id, one.why) for one in ranked.unplaced] == [
        ("milk?", "unknown"),
        ("butter", "controls"),
    ]
    assert client.recommend("zoe").served == "trending"
    assert client.event("zoe", "bread", "cart", time=datetime.now(UTC), quantity=2).accepted == 1
    assert client.recommend("zoe").served == "for_you"
    assert client.put_item("rye", title="Rye loaf", categories=[["Bakery"]]).new
    assert client.patch_item("rye", price=2.5).price == 2.5
    assert client.patch_items([{"id": "rye", "in_stock": False}]) == 1
    assert (client.item("rye").price, client.item("rye").in_stock) == (2.5, False)
    assert client.put_items([{"id": "oat", "title": "Oat loaf"}, {"id": "nut", "title": "Nut loaf"}]) == 2
    assert client.items("loaf").total == 3
    client.delete_item("nut")
    with pytest.raises(ServiceError, match="unknown item 'nut'") as gone:
        client.item("nut")
    assert gone.value.status == 404
    assert {one.item_id for one in client.changes().items} == {"oat", "rye"}
    assert client.drop_changes(["oat"]) == 1
    assert client.items("loaf").total == 1
    assert {"name", "items"} == set(vars(client.categories()[0]))
    client.put_user("zoe", club=True)
    zoe = client.user("zoe")
    assert zoe.attributes == {"club": True}
    assert zoe.events[0].quantity == 2
    assert client.delete_user("zoe") == 1
    assert [line.what.split()[0] for line in client.audit()] == ["deleted", "dropped", "deleted"]


def test_models(client: Client) -> None:
    assert client.models().known == ("a", "b")
    assert client.activate("b").active == "b"
    assert client.roll_back().active == "a"
    with pytest.raises(ServiceError, match="no model 'c'"):
        client.activate("c")


def test_experiments(client: Client) -> None:
    arms = [{"name": "a"}, {"name": "b", "model": "b"}]
    assert client.start_experiment("ab", arms, window_hours=1.0).running
    shown = client.recommend("ann", n=2)
    assert shown.experiment is not None
    (line,) = client.exposures("ab")
    assert (line.arm, list(line.items)) == (shown.experiment.arm, shown.ids)
    assert client.experiment("ab").pending == 1
    assert not client.stop_experiment("ab").running
    assert [one.experiment["name"] for one in client.experiments()] == ["ab"]


def test_many_events_in_parts(client: Client) -> None:
    events = [{"user": f"u{n % 2400 % 7}", "item": "bread", "key": f"k{n % 2400}"} for n in range(2500)]
    counted = client.events(events)
    assert counted == Counted(accepted=2400, duplicates=100)
    mixed = [{"user": "yan", "item": "jam"}, {"user": "yan"}]
    with pytest.raises(ServiceError, match="row 1, column 'item'"):
        client.events(mixed)
    kept = client.events(mixed, partial=True)
    assert (kept.accepted, kept.refused) == (1, 1)
    assert "column 'item'" in kept.errors[0]


def test_a_broken_rule_is_told_as_the_service_tells_it(client: Client) -> None:
    with pytest.raises(ServiceError, match=r"body.n: Input should be less than or equal to 100") as wrong:
        client.recommend("ann", n=101)
    assert (wrong.value.status, wrong.value.title) == (422, "Unprocessable Entity")
    assert len(wrong.value.rules) == 1


def test_keys(service: ShopService) -> None:
    token = add_key(service.store, "shop", ["read"])
    with running(service) as address:
        with Client(address, key=token) as client:
            assert client.trending().items
            with pytest.raises(ServiceError, match="lacks the scope 'write'") as refused:
                client.event("ann", "bread")
            assert refused.value.status == 403
        with Client(address) as client, pytest.raises(ServiceError, match="API key"):
            client.trending()


def answering(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request], list[float]]:
    """A client of a service that gives these answers, what it was asked, and how long the client waited."""
    asked: list[httpx.Request] = []
    waited: list[float] = []
    rest = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = rest.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = Client(transport=httpx.MockTransport(handle), retries=3)
    client._transport._sleep = waited.append
    return client, asked, waited


def test_an_event_is_sent_again_with_the_same_key() -> None:
    kept = httpx.Response(200, json={"accepted": 0, "duplicates": 1})
    busy = httpx.Response(503, headers={"retry-after": "2"})
    client, asked, waited = answering(busy, httpx.ReadTimeout("slow"), kept)
    assert client.event("ann", "bread").duplicates == 1
    assert len({request.content for request in asked}) == 1
    assert b'"key":"' in asked[0].content
    assert waited[0] == 2.0
    assert 0.1 <= waited[1] <= 0.3


def test_retry_after_may_be_a_date_and_is_not_obeyed_for_hours() -> None:
    soon = httpx.Response(429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    late = httpx.Response(429, headers={"retry-after": "7200"})
    odd = httpx.Response(429, headers={"retry-after": "soon"})
    client, _, waited = answering(soon, late, odd, httpx.Response(200, json=[]))
    assert client.categories() == ()
    assert waited[:2] == [0.0, 30.0]
    assert 0.2 <= waited[2] <= 0.6


def test_it_gives_up_in_the_end_and_does_not_insist_on_what_is_wrong() -> None:
    client, asked, _ = answering(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(ServiceError, match="no answer"):
        client.ready()
    assert len(asked) == 4
    wrong = httpx.Response(404, json={"title": "Not Found", "status": 404, "detail": "unknown item 'x'"})
    client, asked, _ = answering(wrong)
    with pytest.raises(ServiceError, match="unknown item 'x'"):
        client.item("x")
    client, _, _ = answering(httpx.Response(502, text="<html>"))
    with pytest.raises(ServiceError, match="502: <html>"):
        client.ready()


def test_ids_are_quoted() -> None:
    client, asked, _ = answering(httpx.Response(204))
    client.delete_item("a b/ü?#")
    assert asked[0].url.raw_path == b"/api/items/a%20b%2F%C3%BC%3F%23"


def test_a_newer_service_may_send_more() -> None:
    body = {"placement": "for_you", "served": "for_you", "user": None, "items": [], "notices": [], "more": 1}
    assert read(RecommendedList, {**body, "cross_share": None, "relevance_kept": 1.0}).items == ()
    with pytest.raises(TypeError, match="title"):
        read(Product, {"item_id": "x"})


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="http://"):
        Client("localhost:8080")


def test_it_loads_no_service(tmp_path: Path) -> None:
    code = "import sys; from crossaisle.client import Client; Client(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"fastapi", "pydantic", "onnxruntime", "torch"} & set(loaded.split())
