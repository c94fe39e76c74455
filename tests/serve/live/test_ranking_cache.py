"""Which cached lists survive a change of the catalogue: those that are still right, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossaisle.data.query import Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event


def _questions(shop: LiveRecommender, users: list[str], items: list[str]) -> list[Query]:
    known = [item for item in items if item in shop.dataset.item_ids]
    return [
        *(Query(user=user, placement=p, n=1) for user in users for p in ("for_you", "discover")),
        *(Query(placement=place, items=(item,)) for item in known for place in ("goes_with", "similar")),
        Query(placement="trending"),
    ]


def _answers(shop: LiveRecommender, queries: list[Query]) -> list[Any]:
    lists = []
    for query in queries:
        quick = shop.from_cache(query)
        answer = quick if hasattr(quick, "items") else shop.score_many([query])[0]
        assert not isinstance(answer, Exception)
        lists.append([(r.item_id, round(r.score, 5)) for r in answer.items])
    return lists


@pytest.mark.parametrize("kept", [2, 2000])
def test_lists_are_those_of_a_shop_that_kept_nothing(service: ShopService, kept: int) -> None:
    limits = LiveLimits(ranking_items=kept)
    rng = np.random.default_rng(0)
    base, live = service.shop.base, service.live
    titles = base.dataset.items["title"].to_list()
    users = [*base.dataset.user_ids.all, "visitor"]
    items = [*base.dataset.item_ids.all[:3], *(f"new{n}" for n in range(4))]
    # What the visitor saw is known before the item itself is.
    live.add([Event(None, "visitor", item, "view", 2e9) for item in (items[0], "new1")])
    shop, changed = LiveRecommender(base, live, limits=limits), dict[str, dict[str, Any]]()
    for step in range(40):
        name = items[rng.integers(len(items))]
        body = (
            changed.get(name, {})
            | {
                0: {"price": float(step)},
                1: {"title": titles[rng.integers(len(titles))], "deleted": False},
                2: {"title": "zzz", "categories": [["Elsewhere"]], "deleted": False},
                3: {"deleted": bool(rng.random() < 0.5)},
            }[int(rng.integers(4))]
        )
        changed = changed | {name: body if name in base.dataset.item_ids else {"title": "zzz"} | body}
        shop = LiveRecommender(base, live, changed, before=shop, limits=limits)
        queries = _questions(shop, users, items)
        assert _answers(shop, queries) == _answers(
            LiveRecommender(base, live, changed, limits=limits), queries
        ), step
    assert shop.cache.hits  # something was kept


def test_an_item_like_nothing_leaves_all_lists(service: ShopService) -> None:
    shop, users = service.shop, service.shop.base.dataset.user_ids.all
    shop.score_many([Query(user=user) for user in users])
    grown = LiveRecommender(shop.base, service.live, {"strange": {"title": "zzz"}}, before=shop)
    assert len(grown.cache.queries()) == len(users)
    twin = {"title": shop.base.dataset.items["title"][0], "categories": [["Elsewhere"]]}
    again = LiveRecommender(
        shop.base, service.live, {"strange": {"title": "zzz"}, "twin": twin}, before=grown
    )
    assert len(again.cache.queries()) < len(users)


def test_who_saw_an_item_before_it_was_known_is_answered_anew(service: ShopService) -> None:
    shop, live = service.shop, service.live
    live.add([Event(None, "visitor", item, "view", 2e9) for item in (shop.dataset.item_ids.id(0), "strange")])
    shop.score_many([Query(user="visitor"), Query(user=shop.base.dataset.user_ids.all[0])])
    grown = LiveRecommender(shop.base, live, {"strange": {"title": "zzz"}}, before=shop)
    assert [query.user for query in grown.cache.queries()] == [shop.base.dataset.user_ids.all[0]]


def test_who_is_new_sees_what_is_kept_for_everybody(service: ShopService) -> None:
    shop, live = service.shop, service.live
    shop.score_many([Query(user="first")])
    for user in ("second", "third"):
        assert not isinstance(shop.from_cache(Query(user=user)), Asked)
    live.add([Event(None, "fourth", shop.dataset.item_ids.id(0), "view", 2e9)])
    assert isinstance(shop.from_cache(Query(user="second")), Asked)  # something else may be popular now


def test_a_live_shop_cannot_be_saved() -> None:
    """Its catalogue has items that the models have no weights for."""
    assert not hasattr(LiveRecommender, "save")
    assert not issubclass(LiveRecommender, Recommender)
