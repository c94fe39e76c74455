"""What each placement may show, and what is served where it cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossaisle.data.query import Query
from crossaisle.errors import UnknownIdError
from crossaisle.models.blend import Blend
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.records import Event
from tests.recommend.shop import FITTED, SHOP, categories, recommender, seen


def with_carts(repeats: bool) -> Recommender:
    """`goes_with` of a user with a cart: kNN of the cart, and what the user had before."""
    old = recommender(repeats=repeats)
    weights = {
        **old.blend.weights,
        "goes_with": {"item_knn": 1.0},
        "goes_with_user": {"item_knn": 1.0},
        "goes_with_history": {"frequency": 1.0},
    }
    return Recommender(SHOP, Blend(parts=old.blend.parts, weights=weights), repeats=repeats)


def test_what_goes_with_a_cart_of_a_user_goes_by_both() -> None:
    shop = with_carts(repeats=True)
    alone = shop.recommend(Query(placement="goes_with", items=("milk1",), n=9))
    known = shop.recommend(Query(placement="goes_with", items=("milk1",), user="u0", n=9, explain=True))
    assert all(not item.startswith("milk") for item in known.ids)
    own = [item for item in known.ids if item in seen("u0")]
    assert known.ids[: len(own)] == own  # the habit stands first
    assert known.ids != alone.ids
    why = known.items[0].evidence
    assert why
    assert {"bought before"} <= {reason for c in why.contributions for reason in c.reasons}
    assert why.score == pytest.approx(known.items[0].score, rel=1e-5)
    assert shop.explain(["milk1"], known.ids[0], placement="goes_with", user="u0") == why
    assert shop.explain(["milk1"], known.ids[0], placement="goes_with") != why
    for asked in ({"user": "nobody"}, {"user": "u0", "habits": False}):
        found = shop.recommend(Query(placement="goes_with", items=("milk1",), n=9, **asked))  # type: ignore[arg-type]
        assert found.ids == alone.ids
    session = Query(placement="goes_with", items=("milk1",), history=("bread2", "spade1", "spade2"), n=3)
    assert set(shop.recommend(session).ids) == {"bread2", "spade1", "spade2"}


def test_somebody_without_habits_is_shown_what_goes_with_the_cart() -> None:
    shop = with_carts(repeats=True)
    query = Query(placement="goes_with", items=("milk1",), n=9)
    alone = shop.recommend(query).ids
    assert shop.recommend(replace(query, history=("bread2", "spade1"))).ids == alone
    live = LiveRecommender(shop, LiveHistories())
    end = float(np.nanmax(shop.dataset.histories().day)) * 86_400

    def happen(kind: str, *items: str) -> None:
        live.live.add([Event(None, "ann", item, kind, end + at) for at, item in enumerate(items)])

    happen("view", "milk1", "spade1", "spade2", "paint1")
    assert live.recommend(replace(query, user="ann")).ids == alone
    happen("purchase", "spade1", "spade2", "paint1")
    assert live.recommend(replace(query, user="ann")).ids != alone


def test_new_products_beside_a_cart_are_those_of_the_cart_alone() -> None:
    shop = with_carts(repeats=True)
    alone = shop.recommend(Query(placement="goes_with", items=("milk1",), n=30))
    new = shop.recommend(Query(placement="goes_with", items=("milk1",), user="u0", exclude_seen=True, n=30))
    assert new.ids == [item for item in alone.ids if item not in seen("u0")]


def test_where_nobody_buys_again_a_cart_is_not_answered_with_what_the_user_had() -> None:
    shop = with_carts(repeats=False)
    query = Query(placement="goes_with", items=("milk1",), user="u0", n=9)
    assert not set(shop.recommend(query).ids) & seen("u0")
    assert set(shop.recommend(replace(query, exclude_seen=False)).ids) & seen("u0")


def test_for_you_shows_unseen_items_of_the_users_group_first() -> None:
    answer = FITTED.recommend(Query(user="u0", n=3))
    assert answer.served == "for_you"
    assert not seen("u0") & set(answer.ids)
    assert set(categories(answer)) <= {"Dairy", "Bakery"}
    assert [r.rank for r in answer] == [1, 2, 3]
    scores = [r.score for r in answer]
    assert scores == sorted(scores, reverse=True)
    assert answer.notices == ()


def test_a_repeat_buying_shop_shows_seen_items() -> None:
    again = recommender(repeats=True)
    assert set(again.recommend(Query(user="u0", n=3)).ids) & seen("u0")
    assert not set(again.recommend(Query(user="u0", n=3, exclude_seen=True)).ids) & seen("u0")


def test_discover_shows_new_categories_only() -> None:
    answer = FITTED.recommend(Query(placement="discover", history=("milk0", "spade1"), n=30))
    assert set(categories(answer)) == {"Bakery", "Hardware"}


def test_goes_with_shows_other_categories_than_those_in_view() -> None:
    answer = FITTED.goes_with(["milk0", "milk1"], n=4)
    assert "Dairy" not in categories(answer)
    assert set(categories(answer)) == {"Bakery"}
    assert answer.served == "goes_with"


def test_similar_leaves_out_the_item_in_view() -> None:
    answer = FITTED.similar_items("milk0", n=40)
    assert "milk0" not in answer.ids
    assert set(categories(answer)[:8]) == {"Dairy", "Bakery"}


def test_buy_again_shows_the_history_only() -> None:
    answer = FITTED.recommend(Query(placement="buy_again", user="u2", n=3, in_stock=False))
    assert set(answer.ids) <= seen("u2")
    twice = SHOP.item_ids.id(int(SHOP.events.item[2 * 8]))
    assert answer.ids[0] == twice


def test_trending_is_popularity_and_the_same_for_everybody() -> None:
    trending = FITTED.recommend(Query(placement="trending", n=5))
    assert trending.ids == FITTED.recommend(Query(placement="trending", user="u3", n=5)).ids
    # bread0 may be popular, but it is not in stock.
    users = np.asarray(SHOP.matrix().sum(axis=0)).ravel() * SHOP.items["in_stock"].to_numpy()
    assert trending.ids[0] == SHOP.item_ids.id(int(users.argmax()))
    assert trending.notices == ()


@pytest.mark.parametrize("placement", ["for_you", "discover", "buy_again"])
@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"user": "stranger"}, "unknown user 'stranger': showing trending items instead"),
        ({}, "neither a user nor a history given: showing trending items instead"),
        ({"history": ("what",)}, "no known item in the history: showing trending items instead"),
    ],
)
def test_without_a_history_trending_is_served_and_said(
    placement: str, who: dict[str, object], said: str
) -> None:
    answer = FITTED.recommend(Query(placement=placement, n=4, **who))  # type: ignore[arg-type]
    assert answer.ids == FITTED.recommend(Query(placement="trending", n=4)).ids
    assert (answer.placement, answer.served) == (placement, "trending")
    assert said in answer.notice


def test_a_known_user_without_events() -> None:
    silent = SHOP.with_events(SHOP.events.user != 3)
    answer = recommender(silent).recommend(Query(user="u3", n=2))
    assert answer.notice == "user 'u3' has no events yet: showing trending items instead"


def test_unknown_items_of_a_session_are_passed_over_and_named() -> None:
    known = FITTED.recommend(Query(history=("milk0", "milk1"), n=5))
    mixed = FITTED.recommend(Query(history=("x", "milk0", "y", "milk1"), n=5))
    assert mixed.ids == known.ids
    assert mixed.notice == "2 unknown item(s) of the history ignored: 'x', 'y'"


def test_unknown_items_in_view_and_unknown_categories_know_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match="unknown item 'milc0'") as found:
        FITTED.similar_items("milc0")
    assert found.value.hint == " (did you mean 'milk0'?)"
    with pytest.raises(UnknownIdError, match="unknown category 'Diary'") as found:
        FITTED.recommend(Query(user="u0", exclude_categories=("Diary",)))
    assert found.value.hint == " (did you mean 'Dairy'?)"
    with pytest.raises(UnknownIdError, match="unknown category 'Diary'"):
        FITTED.recommend(Query(user="u0", quotas={"Diary": 1}))
