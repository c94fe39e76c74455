"""A query string that was checked once is not checked again, and is not mixed up with another."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.data.query import Placement, Query
from crossaisle.serve.api import remembered
from crossaisle.serve.api.remembered import Remembered
from crossaisle.serve.api.requests.list_schemas import ItemParameters, UserParameters
from crossaisle.serve.api.routes import items, lists
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


def test_answers_are_the_same_the_second_time(service: ShopService) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for path in (
            "/api/recommend/ann",
            "/api/recommend/ann?n=3&quota=1",
            "/api/recommend/ann?exclude_categories=Dairy&exclude_categories=Bakery",
            "/api/items/bread/goes-with?n=2",
            "/api/items/bread/similar?user=ann",
            "/api/trending?n=2",
        ):
            first, again = await client.get(path), await client.get(path)
            assert first.status_code == 200, first.text
            assert again.json() == first.json()

    talk(service, check)


def test_each_user_has_their_own(service: ShopService) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for user in ("ann", "bob", "an%6E", "zo%C3%AB", "ann"):
            answer = (await client.get(f"/api/recommend/{user}?n=3")).json()
            assert answer["user"] == {"an%6E": "ann", "zo%C3%AB": "zoë"}.get(user, user)
            assert len(answer["items"]) <= 3

    talk(service, check)


def test_parameters_make_each_query_as_if_it_were_the_first() -> None:
    parameters = UserParameters.model_validate({"placement": "discover", "n": "3", "quotas": ["Dairy=2"]})
    for user in ("ann", "bob"):
        made = Query(placement="discover", user=user, n=3, quotas={"Dairy": 2})
        assert parameters.query(user=user) == made
    beside = ItemParameters.model_validate({"user": "ann"})
    placements: tuple[Placement, ...] = ("goes_with", "similar", "similar")
    for item, placement in zip(("bread", "milk", "jam"), placements, strict=True):
        made = Query(placement=placement, user="ann", items=(item,))
        assert beside.query(placement=placement, items=(item,)) == made


def test_what_is_wrong_is_said_each_time(service: ShopService) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        good = await client.get("/api/recommend/ann?n=3")
        assert good.status_code == 200
        for path in (
            "/api/recommend/ann?n=0",
            "/api/recommend/ann?nn=3",
            "/api/recommend/ann?n=3&n=4",
            "/api/recommend/ann?n=100&explain=true",  # its fields are right, and contradict each other
            f"/api/recommend/{'a' * 2000}?n=3",
            "/api/recommend/%FF?n=3",
        ):
            answers = [await client.get(path) for _ in range(2)]
            assert [one.status_code for one in answers] == [422, 422], path
            assert answers[0].json() == answers[1].json()

    talk(service, check)


def test_those_not_asked_for_longest_are_dropped(
    service: ShopService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "DEFAULT", ApiLimits(remembered_queries=3, remembered_bytes=30))
    [route] = [one for one in lists.router.routes if one.path == "/api/recommend/{user}"]
    found = route.remembered
    assert isinstance(found, Remembered)
    found.forget()

    async def check(client: httpx.AsyncClient) -> None:
        for n in (1, 2, 3, 1, 4):
            await client.get(f"/api/recommend/ann?n={n}")
        await client.get("/api/recommend/ann?exclude_categories=" + "a" * 30)
        assert found.queries == [b"n=3", b"n=1", b"n=4"]

    talk(service, check)


def test_only_lists_are_remembered() -> None:
    assert {one.path for one in lists.router.routes if one.remembered} == {
        "/api/recommend/{user}",
        "/api/items/{item}/goes-with",
        "/api/items/{item}/similar",
        "/api/trending",
    }
    assert not [one for one in items.router.routes if one.remembered]
