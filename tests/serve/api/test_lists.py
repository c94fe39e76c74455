"""Lists over HTTP: the same as `Recommender.recommend`, and following what people just did."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import httpx
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.recommend.rank import rank_query, ranking
from crossaisle.serve.service import ShopService
from tests.serve.conftest import fitted, talk

QUESTIONS = {
    "": {},
    "placement=discover": {"placement": "discover"},
    "placement=trending&n=3": {"placement": "trending", "n": 3},
    "cross_share=0.5&n=4": {"cross_share": 0.5, "n": 4},
    "cross_share=auto": {"cross_share": "auto"},
    "quota=1": {"quota": 1},
    "max_price=3&exclude_categories=Bakery": {"max_price": 3.0, "exclude_categories": ("Bakery",)},
    "include_categories=Dairy&exclude_seen=false": {"include_categories": ("Dairy",), "exclude_seen": False},
    "diversity=0.5": {"diversity": 0.5},
    "diversity=0.5&diversify_by=dpp": {"diversity": 0.5, "diversify_by": "dpp"},
    "calibration=0.7&n=3": {"calibration": 0.7, "n": 3},
    "max_per_brand=1&one_per_title=false": {"max_per_brand": 1, "one_per_title": False},
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("user", ["ann", "eve", "nobody"])
def test_the_service_answers_as_the_recommender_does(
    service: ShopService, shop: Dataset, user: str, question: str
) -> None:
    expected = fitted(shop).recommend(Query(user=user, **QUESTIONS[question]))

    async def conversation(client: httpx.AsyncClient) -> None:
        for _ in range(2):  # scored, then from what is kept
            answer = (await client.get(f"/api/recommend/{user}?{question}")).json()
            assert [r["item_id"] for r in answer["items"]] == expected.ids
            assert answer["notices"] == list(expected.notices)
            assert answer["cross_share"] == pytest.approx(expected.cross_share)
            assert answer["served"] == expected.served

    talk(service, conversation)


def test_many_at_once_get_their_own_answers(service: ShopService, shop: Dataset) -> None:
    recommender = fitted(shop)

    async def conversation(client: httpx.AsyncClient) -> None:
        users = [*shop.user_ids.all] * 4
        answers = await asyncio.gather(*(client.get(f"/api/recommend/{user}") for user in users))
        for user, answer in zip(users, answers, strict=True):
            ids = [r["item_id"] for r in answer.json()["items"]]
            assert ids == recommender.recommend(Query(user=user)).ids

    talk(service, conversation)
    assert max(service.metrics.batch_sizes) > 1


def test_pages_of_a_list_continue_it(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        whole = (await client.get("/api/recommend/ann?n=4")).json()["items"]
        second = (await client.get("/api/recommend/ann?n=2&offset=2")).json()["items"]
        assert second == whole[2:]
        assert second[0]["rank"] == 3

    talk(service, conversation)


def test_sessions_carts_and_items_in_view(service: ShopService, shop: Dataset) -> None:
    recommender = fitted(shop)

    async def conversation(client: httpx.AsyncClient) -> None:
        body = {"history": ["bread"], "n": 3, "explain": True}
        session = (await client.post("/api/recommend", json=body)).json()
        assert [r["item_id"] for r in session["items"]] == recommender.recommend(
            Query(history=("bread",), n=3)
        ).ids
        assert session["items"][0]["why"].startswith("Because you chose White bread")
        beside = (await client.get("/api/items/bread/goes-with?n=3")).json()
        assert [r["item_id"] for r in beside["items"]] == recommender.goes_with(["bread"], 3).ids
        similar = (await client.get("/api/items/bread/similar?n=3")).json()
        assert [r["item_id"] for r in similar["items"]] == recommender.similar_items("bread", 3).ids
        trending = (await client.get("/api/trending?n=2&include_categories=Dairy")).json()
        assert trending["items"][0]["item_id"] == "butter"
        names = {c["name"]: c["items"] for c in (await client.get("/api/categories")).json()}
        assert names == {"Bakery": 4, "Dairy": 3, "Pantry": 2, "Household": 1}

    talk(service, conversation)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/recommend/ann?cross_share=2", 422, "cross_share must lie between 0 and 1"),
        ("/api/recommend/ann?cross_share=much", 422, "cross_share must be a number from 0 to 1"),
        ("/api/recommend/ann?share=0.5", 422, "query.share: unknown parameter (did you mean 'cross_share'?)"),
        ("/api/recommend/ann?include=Dairy", 422, "include: unknown parameter (did you mean 'include_cat"),
        (
            "/api/items/bread/similar?sold_out=1",
            422,
            "sold_out: unknown parameter (did you mean 'in_stock'?)",
        ),
        ("/api/trending?cross_share=1", 422, "query.cross_share: unknown parameter"),
        ("/api/trending?calibration=.5", 422, "query.calibration: unknown parameter"),
        ("/api/recommend/ann?placement=discover&calibration=.5", 422, "discover takes no calibration"),
        ("/api/recommend/ann?placement=discover&cross_share=.5", 422, "discover takes no cross_share"),
        ("/api/items?category=Dairy&limit=3", 422, "query.limit: unknown parameter (did you mean 'n'?)"),
        ("/api/recommend/ann?quotas=Dairy", 422, "quotas must be CATEGORY=number (found 'Dairy')"),
        ("/api/recommend/ann?n=0", 422, "n: Input should be greater than or equal to 1"),
        ("/api/recommend/ann?include_categories=Diary", 404, "unknown category 'Diary'"),
        ("/api/recommend/ann?min_price=3&max_price=2", 422, "min_price must not exceed max_price"),
        ("/api/items/ghost/similar", 404, "unknown item 'ghost'"),
        ("/api/nothing", 404, "Not Found"),
    ],
)
def test_problems_are_described(service: ShopService, path: str, status: int, says: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert says in answer.json()["detail"]

    talk(service, conversation)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/items/bred", "unknown item 'bred'"),
        ("/api/items/bred/similar", "unknown item 'bred'"),
        ("/api/recommend/ann?include_categories=Diary", "unknown category 'Diary'"),
        ("/api/experiments/race", "no experiment 'race'"),
        (f"/api/items/{'x' * 256}", f"unknown item '{'x' * 64}…'"),
        (f"/api/users/{'x' * 256}", f"nothing is known about user '{'x' * 64}…'"),
        (f"/api/trending?include_categories={'ab' * 100}", f"unknown category '{'ab' * 32}…'"),
    ],
)
def test_what_is_unknown_is_named_shortly_and_without_a_hint(
    service: ShopService, path: str, says: str
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, says)

    talk(service, conversation)


def test_probes_may_carry_anything_and_changes_may_not(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in ("/api/health/live?probe=1", "/metrics?debug=1", "/api/models?cache=1"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/api/models/roll-back?dry_run=1", "/api/recommend?n=3"):
            answer = await client.post(path, json={})
            assert answer.status_code == 422, path
            assert "unknown parameter" in answer.json()["detail"]

    talk(service, conversation)


def test_lists_for_an_item_take_the_same_controls(service: ShopService, shop: Dataset) -> None:
    recommender = fitted(shop)
    controls = "n=2&exclude_categories=Dairy&max_price=4&exclude_seen=true&user=ann&quotas=Pantry%3D1"

    async def conversation(client: httpx.AsyncClient) -> None:
        for placement, path in (("goes_with", "goes-with"), ("similar", "similar")):
            query = Query(
                placement=placement,  # type: ignore[arg-type]
                items=("bread",),
                user="ann",
                n=2,
                exclude_categories=("Dairy",),
                max_price=4.0,
                exclude_seen=True,
                quotas={"Pantry": 1},
            )
            answer = (await client.get(f"/api/items/bread/{path}?{controls}")).json()
            assert [r["item_id"] for r in answer["items"]] == recommender.recommend(query).ids
        trending = (await client.get("/api/trending?quota=1&max_price=9&n=3")).json()
        expected = recommender.recommend(Query(placement="trending", quota=1, max_price=9.0, n=3))
        assert [r["item_id"] for r in trending["items"]] == expected.ids

    talk(service, conversation)


@pytest.mark.parametrize("query", ["n=3&n=4", "explain=true&explain=false", "cross_share=0&cross_share=1"])
def test_a_parameter_that_is_given_twice_is_refused(service: ShopService, query: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.get(f"/api/recommend/ann?{query}")
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"query.{query.partition('=')[0]}: is given more than once"
        assert (await client.get("/api/items?q=milk&q=bread")).status_code == 422
        one, two = (kind["name"] for kind in (await client.get("/api/categories")).json()[:2])
        several = f"include_categories={one}&include_categories={two}&quotas={one}%3D1&quotas={two}%3D1"
        assert (await client.get(f"/api/recommend/ann?{several}")).status_code == 200

    talk(service, conversation)


def test_items_in_view_that_a_placement_does_not_rank_by_are_spoken_of(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        body: dict[str, object] = {"user": "ann", "items": ["bread"]}
        says = "items in view are ignored; only goes_with and similar use them"
        assert says in (await client.post("/api/recommend", json=body)).json()["notices"]
        body["placement"] = "goes_with"
        assert says not in (await client.post("/api/recommend", json=body)).json()["notices"]

    talk(service, conversation)


def test_a_list_from_elsewhere_is_ranked_as_the_recommender_does(service: ShopService, shop: Dataset) -> None:
    items = [*reversed(shop.item_ids.all), "unknown", shop.item_ids.id(0)]

    async def conversation(client: httpx.AsyncClient) -> None:
        for body in (
            {"user": "ann"},
            {"history": ["bread"], "quota": 1},
            {"placement": "similar", "in_view": ["bread"]},
            {"user": "nobody", "exclude_seen": True, "max_price": 3},
        ):
            answer = (await client.post("/api/rank", json={"items": items, **body})).json()
            fields = {n: tuple(v) if isinstance(v, list) else v for n, v in body.items()}
            view = fields.pop("in_view", ())
            query = rank_query(items, items=view, **fields)
            recommender = fitted(shop)
            expected = ranking(
                query, recommender.resolve(query), recommender.recommend(query), recommender.lists
            )
            assert [r["item_id"] for r in answer["items"]] == expected.placed.ids, body
            assert answer["notices"] == list(expected.placed.notices)
            assert answer["unplaced"] == [asdict(one) for one in expected.unplaced]
            assert len(answer["items"]) + len(answer["unplaced"]) == shop.n_items + 1
        await client.post("/api/events", json={"user": "zoe", "item": "bread", "kind": "purchase"})
        asked = {"items": ["bread", "butter"], "user": "zoe", "explain": True}
        assert {r["item_id"] for r in (await client.post("/api/rank", json=asked)).json()["items"]} == {
            "bread",
            "butter",
        }
        for wrong, said in (
            ({"items": []}, "items: List should have at least 1"),
            ({"items": ["bread"], "include_items": ["bread"]}, "include_items: unknown field"),
            ({"items": ["bread"], "placement": "similar"}, "needs at least one item in view"),
            (
                {"items": [f"{n}" for n in range(21)], "explain": True},
                "items must be at most 20 with explain",
            ),
            ({"items": [f"{n}" for n in range(1001)]}, "at most 1000"),
        ):
            refused = await client.post("/api/rank", json={"user": "ann", **wrong})
            assert refused.status_code == 422, wrong
            assert said in refused.json()["detail"], (wrong, refused.json()["detail"])

    talk(service, conversation)


def test_rules_hold_in_a_list_from_elsewhere(service: ShopService) -> None:
    rule = {"action": "never", "items": ["item:bread"]}

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.put("/api/rules/no-bread", json=rule)).status_code == 200
        body = {"items": ["bread", "butter"], "user": "ann"}
        answer = (await client.post("/api/rank", json=body)).json()
        assert [r["item_id"] for r in answer["items"]] == ["butter"]
        assert answer["unplaced"] == [{"item_id": "bread", "why": "rules"}]

    talk(service, conversation)
