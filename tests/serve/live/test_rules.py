"""A merchandiser's rules in a running shop: kept rankings, retrieved candidates, new items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import Placement, Query
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.catalogue.browsing import Browse
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Asked
from crossaisle.serve.live.recommender import LiveRecommender
from tests.models.shops import CATEGORIES
from tests.recommend.merchandising.test_lists_under_rules import BASE, RULES, numbered

ITEMS = [f"{kind}{i}" for kind in CATEGORIES for i in range(6)]
LARGE = LiveLimits(large_items=1, retrieved_items=4, narrow_items=2)


def live(
    *rules: dict[str, Any],
    before: LiveRecommender | None = None,
    changed: dict[str, dict[str, Any]] | None = None,
    limits: LiveLimits = LiveLimits(),
) -> LiveRecommender:
    histories = LiveHistories() if before is None else before.live
    return LiveRecommender(
        BASE, histories, changed or {}, before=before, rules=RuleSet.of(list(rules), "rules"), limits=limits
    )


def rule(action: str, items: Any, **more: Any) -> dict[str, Any]:
    return {"id": more.pop("id", action), "action": action, "items": items, **more}


def cached(shop: LiveRecommender, query: Query) -> list[str]:
    shop.recommend(query)
    found = shop.from_cache(query)
    assert not isinstance(found, Asked), "the ranking was kept"
    return found.ids


def test_the_items_of_one_pin_do_not_push_out_those_of_another() -> None:
    """Thirteen items are pinned, a ranking keeps ten, and milk is no news to this user."""
    pins = [
        rule("pin", ["spade5", "Milk"], id="first", position=1),
        rule("pin", ["Bread"], id="second", position=2),
    ]
    query = Query(placement="discover", user="u0", n=1)
    shop = live(*pins, limits=LiveLimits(ranking_items=10))
    assert shop.recommend(query).ids == BASE.with_rules(RuleSet.of(pins, "rules")).recommend(query).ids
    assert shop.recommend(query).ids == ["spade5"]


@settings(max_examples=150, deadline=None)
@given(
    RULES,
    st.sampled_from(["for_you", "discover", "buy_again", "trending", "similar", "goes_with"]),
    st.sampled_from(["u0", "u1", "nobody"]),
    st.integers(1, 9),
    st.integers(0, 5),
)
def test_a_kept_ranking_gives_the_list_that_is_made_anew(
    drawn: list[dict[str, Any]], placement: Placement, user: str, n: int, offset: int
) -> None:
    rules = numbered(drawn).to_list()
    items = ("milk1",) if placement in ("similar", "goes_with") else ()
    query = Query(placement=placement, user=user, items=items, n=n, offset=offset)
    shop = live(*rules, limits=LiveLimits(ranking_items=10))
    first = shop.recommend(query)
    again = shop.from_cache(query)
    whole = BASE.with_rules(RuleSet.of(rules, "rules")).recommend(query)
    assert first.ids == whole.ids
    if not isinstance(again, Asked):
        assert again.ids == whole.ids
        assert again.rules == first.rules


def test_a_list_made_under_old_rules_is_never_served() -> None:
    query = Query(user="u0", n=4)
    shop = live()
    plain = cached(shop, query)
    ruled = live(rule("boost", "bread4", weight=50), before=shop)
    assert not ruled.is_cached(query), "rankings of other rules are of no use"
    assert cached(ruled, query)[0] == "bread4"
    banned = live(rule("never", plain[0]), before=ruled)
    assert plain[0] not in cached(banned, query)
    assert cached(live(before=banned), query) == plain


def test_a_change_of_prices_keeps_rankings_under_the_same_rules() -> None:
    query = Query(user="u0", n=4)
    shop = live(rule("boost", "bread4", weight=50))
    shop.recommend(query)
    after = live(rule("boost", "bread4", weight=50), before=shop, changed={"milk1": {"price": 2.0}})
    assert after.is_cached(query)
    assert after.merchandising.matched is shop.merchandising.matched


def test_a_new_item_of_a_category_obeys() -> None:
    new = {"milk9": {"title": "fresh milk number 9", "categories": [["Dairy", "Milk"]]}}
    query = Query(placement="similar", items=("milk1",), n=20)
    assert "milk9" in live(changed=new).recommend(query).ids
    shop = live(rule("never", "Dairy"), changed=new)
    assert not {item for item in shop.recommend(query).ids if item.startswith("milk")}
    by_word = live(rule("never", "words:number 9"), changed=new)
    assert "milk9" not in by_word.recommend(query).ids


@pytest.mark.parametrize("placement", ["for_you", "trending"])
def test_a_large_shop_fills_its_lists_although_the_best_are_banned(placement: Placement) -> None:
    query = Query(placement=placement, user="u0", n=5)
    plain = live(limits=LARGE).recommend(query)
    assert len(plain) == 5
    shop = live(rule("never", ["Milk", "Bread"]), limits=LARGE)
    found = shop.recommend(query)
    assert len(found) == 5, "more is retrieved"
    assert {item[:-1] for item in found.ids} <= {"spade", "paint"}
    assert found.rules[0].items
    assert found.rules_cost is not None


def test_a_large_shop_shows_what_is_boosted_or_pinned_from_far_below() -> None:
    query = Query(user="u0", n=3)
    plain = live(limits=LARGE).recommend(Query(user="u0", n=20))
    last = plain.ids[-1]
    assert last not in plain.ids[:3]
    up = live(rule("boost", last, weight=1000), limits=LARGE)
    assert up.recommend(query).ids[0] == last
    pinned = live(rule("pin", "spade5", position=2), limits=LARGE)
    assert pinned.recommend(query).ids[1] == "spade5"
    assert pinned.recommend(replace(query, n=10)).ids[1] == "spade5"


def test_rules_of_the_model_hold_where_the_shop_has_none() -> None:
    base = BASE.with_rules(RuleSet.of([rule("never", "Dairy")], "f"))
    shop = LiveRecommender(base, LiveHistories())
    assert not {i for i in shop.recommend(Query(user="u0", n=20)).ids if i.startswith("milk")}
    assert LiveRecommender(base, LiveHistories(), rules=RuleSet()).rules == RuleSet()


def test_search_shows_what_is_for_sale_but_not_to_everybody() -> None:
    shop = live(
        rule("adults-only", "Bread"),
        rule("never", "Milk"),
        rule("adults-only", "Spade", id="here", placements=["for_you"]),
        rule("adults-only", "Paint", id="over", until="2020-01-01"),
    )

    def found(**asked: Any) -> set[str]:
        rows = shop.catalogue.browse(Browse(n=100, **asked)).rows
        return {shop.dataset.item_ids.id(row) for row in rows}

    assert found() == {item for item in ITEMS if not item.startswith("bread")}
    assert found(adult=True) == set(ITEMS)
    assert found(words="fresh bread number 3", category="Bread") == set()
    assert "bread3" in found(words="fresh bread number 3", adult=True)
    assert "milk1" in found(words="milk 1")
    assert "milk1" not in shop.recommend(Query(user="u0", n=24, exclude_seen=False)).ids


@pytest.mark.parametrize("large", [False, True])
def test_reasons_name_nothing_that_is_for_adults(large: bool) -> None:
    asked = Query(history=("milk1", "bread1"), n=20, explain=True, exclude_seen=False)
    limits = LARGE if large else LiveLimits()
    plain = live(limits=limits).recommend(asked)
    assert any("milk" in one.evidence.text for one in plain if one.evidence)
    shop = live(rule("adults-only", "Milk"), limits=limits)
    told = [one.evidence for one in shop.recommend(asked) if one.evidence]
    assert told
    for one in told:
        assert "milk" not in one.text.lower()
        assert not any("milk" in name.lower() for cause in one.causes for name in cause.names)
    other = live(rule("adults-only", "Bread"), limits=limits).recommend(asked)
    assert any("milk" in one.evidence.text for one in other if one.evidence)
    ruled = BASE.with_rules(RuleSet.of([rule("adults-only", "Milk")], "rules"))
    named = [item for item in ITEMS if "milk" in BASE.explain(["milk1", "bread1"], item).text]
    assert named
    assert not [item for item in named if "milk" in ruled.explain(["milk1", "bread1"], item).text.lower()]
