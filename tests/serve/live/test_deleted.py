"""Of a person who was deleted nothing is left in the memory of a service, whoever was using it."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.spectral import SpectralEASE
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.api.routes import items, lists
from crossaisle.serve.live.derived import Derived
from crossaisle.serve.live.event_counts import Gaps
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.warmup import ahead, warm
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event
from tests.serve.conftest import talk

NOW = time.time()
PEOPLE = ("ann", "visitor")
"""One whom the model knows, and one whom it does not."""


def _event(user: str, item: str, kind: str = "view", at: float = NOW, **more: Any) -> Event:
    return Event(None, user, item, kind, at, **more)


def _live(live: LiveHistories) -> None:
    """People look, put into a cart and take out again."""
    for user in PEOPLE:
        live.add([_event(user, item) for item in ("jam", "honey", "soap")])
        live.add([_event(user, "jam", "cart", NOW + 1), _event(user, "jam", "cart", NOW + 2, quantity=-1.0)])


def _queries() -> list[Query]:
    return [
        *(Query(user=user, placement=place) for user in PEOPLE for place in ("for_you", "buy_again")),
        *(Query(user=user, placement="similar", items=("bread",)) for user in PEOPLE),
        *(Query(user=user, placement="trending") for user in PEOPLE),
    ]


def _held(shop: LiveRecommender) -> dict[str, set[str]]:
    """People of whom something is kept, by where."""
    kept = {
        "settled": shop._settled._kept,
        "strengths": shop.trending._strengths._kept,
        "said": shop.disapproval._said._kept,
        "rankings": [name for _, kind, name, _ in shop.cache._kept if kind == "user"],
        "queries": [query.user for query in shop.cache.queries()],
    }
    return {where: set(PEOPLE) & set(users) for where, users in kept.items()}


def _asked(shop: LiveRecommender) -> None:
    for answer in shop.score_many(_queries()):
        assert not isinstance(answer, Exception)


def test_deletions_reach_whatever_was_made_from_their_events(service: ShopService) -> None:
    _live(service.live)
    # Also of a model that is being made ready.
    other = LiveRecommender(service.shop.base, service.live)
    for shop in (service.shop, other):
        _asked(shop)
        assert all(users == set(PEOPLE) for users in _held(shop).values()), _held(shop)
    for left, user in ((["visitor"], "ann"), ([], "visitor")):
        service.live.forget(user, time.time() + 10)
        for shop in (service.shop, other):
            assert all(users <= set(left) for users in _held(shop).values()), _held(shop)
            assert _held(shop)["settled"] == set(left)


def test_one_deleted_event_leaves_nothing_that_it_went_into(service: ShopService) -> None:
    _live(service.live)
    _asked(service.shop)
    service.live.withdraw("ann", lambda item, day, deed: item == "honey")
    assert all("ann" not in users for users in _held(service.shop).values())


def test_a_list_that_is_being_made_keeps_nothing_of_a_person_who_is_deleted_meanwhile(
    service: ShopService,
) -> None:
    _live(service.live)
    shop = service.shop
    asked = [shop.from_cache(Query(user=user)) for user in PEOPLE]
    assert all(isinstance(one, Asked) for one in asked)
    for user in PEOPLE:
        service.live.forget(user, time.time() + 10)
    shop.score_many([one for one in asked if isinstance(one, Asked)])
    assert not any(users for users in _held(shop).values())


def test_a_change_of_the_catalogue_takes_over_nothing_of_a_deleted_person(service: ShopService) -> None:
    shop = service.shop
    shop.score_many([Query(user="ann"), Query(user="bob")])
    kept = shop.cache.snapshot()
    service.live.forget("ann", time.time())
    shop.cache._kept |= kept  # as a change finds them that was begun before
    after = LiveRecommender(shop.base, service.live, {"milk": {"price": 9.0}}, before=shop)
    assert [query.user for query in after.cache.queries()] == ["bob"]


def test_what_is_kept_while_a_deletion_comes_is_let_go(service: ShopService) -> None:
    live = service.live
    _live(live)
    kept = Derived[str](live, most=3, size=len)
    own = live.of("ann")
    live.forget("ann", time.time() + 10)
    kept.keep("ann", own, Gaps(), "abc")
    assert kept.of("ann", own, Gaps()) is None
    assert not kept._kept
    for user in ("bob", "cid"):
        kept.keep(user, live.of(user), Gaps(), "abc")
    assert kept.of("bob", live.of("bob"), Gaps()) is None  # both are too much
    assert kept.of("cid", live.of("cid"), Gaps()) == "abc"


@pytest.fixture
def spectral(shop: Dataset, tmp_path: Path) -> Path:
    parts = {"popularity": Popularity(), "ease": SpectralEASE(ridge=1.0)}
    weights = {"for_you": {"popularity": 0.1, "ease": 1.0}}
    Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(tmp_path / "m")
    return tmp_path / "m"


def test_no_sum_of_their_vectors_is_kept(spectral: Path, tmp_path: Path) -> None:
    service = ShopService.open(spectral, tmp_path / "s.sqlite")
    try:
        shop = service.shop
        warm(shop)
        ease = shop.base.blend.parts["ease"]
        assert isinstance(ease, SpectralEASE)
        row = {name: shop.base.dataset.user_ids.row(name) for name in ("ann", "bob")}
        assert set(row.values()) <= set(ease._folded._kept)
        history = shop.base.histories.take([row["ann"]])
        service.live.forget("ann", time.time())
        assert row["ann"] not in ease._folded._kept
        ease.score_at(history, [history.item])  # a batch that was under way
        assert row["ann"] not in ease._folded._kept
        assert row["bob"] in ease._folded._kept
        assert not any(part.__dict__.get("_of_batch") for part in shop.base.blend.parts.values())
    finally:
        service.close()
    again = ShopService.open(spectral, tmp_path / "s.sqlite")
    try:
        again.live.forget("bob", time.time())
        warm(again.shop)
        kept = again.shop.base.blend.parts["ease"]
        assert isinstance(kept, SpectralEASE)
        assert row["bob"] not in kept._folded._kept
        assert "bob" not in {query.user for query in ahead(again.shop)}
        assert "bob" not in {query.user for query in again.shop.cache.queries()}
    finally:
        again.close()


def test_a_list_is_made_again_whose_person_was_deleted_while_it_was_made(
    service: ShopService, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    score = LiveRecommender.score_many

    def slow(shop: LiveRecommender, queries: Any) -> Any:
        found = score(shop, queries)
        begun.set()
        go_on.wait(10)
        return found

    async def conversation(client: httpx.AsyncClient) -> None:
        monkeypatch.setattr(LiveRecommender, "score_many", slow)
        asking = asyncio.ensure_future(client.get("/api/recommend/ann?in_stock=false"))
        assert await asyncio.to_thread(begun.wait, 10)
        assert (await client.delete("/api/users/ann")).status_code == 200
        go_on.set()
        answer = (await asking).json()
        stranger = (await client.get("/api/recommend/nobody?in_stock=false")).json()
        assert answer["served"] == stranger["served"] == "trending"
        assert [one["item_id"] for one in answer["items"]] == [one["item_id"] for one in stranger["items"]]

    talk(service, conversation)


def test_no_query_that_names_a_person_is_remembered(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for path in (
            "items/bread/similar?user=ann&n=7",
            "items/bread/goes-with?n=7&user=ann",
            "recommend/ann?n=7",
        ):
            for _ in range(2):
                assert (await client.get(f"/api/{path}")).status_code == 200

    talk(service, conversation)
    routes = [route for route in (*lists.router.routes, *items.router.routes) if route.remembered]
    known = [(query, one) for route in routes for query, one in route.remembered._known.items()]
    assert any(query == b"n=7" for query, _ in known)
    for query, one in known:
        first = one._first
        assert b"ann" not in query
        assert first is None or "ann" not in (first[1].user, *(first[1].items or ()))


def test_what_they_were_against_counts_no_more_at_once(service: ShopService) -> None:
    shop = service.shop
    service.live.add([_event("ann", "honey", "dislike"), _event("visitor", "honey", "dislike", NOW + 1)])
    against = shop.disapproval.now(shop.dataset)
    assert against is not None
    row, limits = shop.dataset.item_ids.row("honey"), shop.limits
    before = float(against.share[row])
    assert before > 0
    service.live.forget("ann", NOW + 10)
    assert limits.disapproval_seconds > 10  # which new events would have to wait for
    after = shop.disapproval.now(shop.dataset)
    assert after is not None
    assert 0 < float(after.share[row]) < before
    service.live.forget("visitor", NOW + 10)
    last = shop.disapproval.now(shop.dataset)
    assert last is None or float(last.share[row]) == 0
