"""What a merchandiser's rules do to lists, each against a shop whose right answers are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import CATEGORIES, tiny_shop

SHOP = tiny_shop()
EVERYTHING = 24


def recommender(*, repeats: bool = True) -> Recommender:
    parts = {"popularity": Popularity(), "item_knn": ItemKNN(), "tfidf": TfidfSimilarity()}
    weights = {
        "for_you": {"popularity": 1.0, "item_knn": 1.0},
        "goes_with": {"popularity": 1.0},
        "similar": {"tfidf": 1.0, "popularity": 0.1},
        "discover": {"popularity": 1.0},
    }
    return Recommender(SHOP, Blend(parts=parts, weights=weights).fit(SHOP), repeats=repeats)


BASE = recommender()


def rule(action: str, items: Any, **more: Any) -> dict[str, Any]:
    return {"id": more.pop("id", action), "action": action, "items": items, **more}


def ruled(*rules: dict[str, Any]) -> Recommender:
    return BASE.with_rules(RuleSet.of(list(rules), "rules"))


def asked(*rules: dict[str, Any], **query: Any) -> RecommendationList:
    return ruled(*rules).recommend(Query(**{"user": "u0", "n": 6} | query))


def kinds(found: RecommendationList) -> set[str]:
    return {item[:-1] for item in found.ids}


PLAIN = asked()


def test_without_rules_nothing_is_said() -> None:
    assert (PLAIN.rules, PLAIN.rules_cost) == ((), None)
    assert kinds(PLAIN) == {"milk", "bread"}


def test_never_takes_out_what_it_names_and_says_what_that_cost() -> None:
    found = asked(rule("never", "Dairy", reason="recall"))
    gone = tuple(item for item in PLAIN.ids if item.startswith("milk"))
    [said] = found.rules
    assert (said.id, said.action, said.items, said.reason) == ("never", "never", gone, "recall")
    assert "milk" not in kinds(found)
    assert len(found) == 6, "the list does not get shorter"
    scores = {item.item_id: item.score for item in asked(n=EVERYTHING)}
    before, after = (sum(scores[item] for item in one.ids) for one in (PLAIN, found))
    assert found.rules_cost == pytest.approx(1 - after / before, rel=1e-5)
    assert [item.score for item in found] == pytest.approx([scores[item] for item in found.ids])


def test_a_rule_that_changes_nothing_costs_nothing() -> None:
    found = asked(rule("never", "Paint"))
    assert (found.ids, found.rules, found.rules_cost) == (PLAIN.ids, (), 0.0)


def test_adults_only_is_shown_where_the_query_says_so() -> None:
    hidden = rule("adults-only", "Bread")
    assert kinds(asked(hidden)) & {"bread"} == set()
    assert asked(hidden, adult=True).ids == PLAIN.ids


def test_a_boost_lifts_and_a_bury_lowers() -> None:
    last = PLAIN.ids[-1]
    up, down = asked(rule("boost", last, weight=10)), asked(rule("bury", PLAIN.ids[0], weight=1000))
    assert up.ids == [last, *PLAIN.ids[:-1]]
    assert up.rules[0].items == (last,)
    assert up.rules_cost == 0.0, "the same items in another order"
    assert PLAIN.ids[0] not in down.ids
    assert down.ids[:5] == PLAIN.ids[1:]
    assert down.rules_cost is not None
    assert down.rules_cost > 0


def test_a_boost_helps_where_scores_are_negative() -> None:
    boosted = Merchandising(RuleSet.of([rule("boost", "milk1", weight=4)], "f"), SHOP)
    ruling = boosted.of("for_you", np.empty(0, np.int32), np.empty(0, np.int32))
    assert ruling is not None
    scores = np.full(SHOP.n_items, -1.0, np.float32)
    assert ruling.weighed(scores)[SHOP.item_ids.row("milk1")] == -0.25
    assert ruling.weighed(-scores)[SHOP.item_ids.row("milk1")] == 4.0


def test_a_pin_has_its_place_even_without_a_score() -> None:
    found = asked(rule("pin", "spade5", position=3))
    assert found.ids == [*PLAIN.ids[:2], "spade5", *PLAIN.ids[2:5]]
    assert found.rules[0].items == ("spade5",)
    assert [item.rank for item in found] == [1, 2, 3, 4, 5, 6]


def test_of_several_pinned_items_the_best_is_shown() -> None:
    best = next(item for item in PLAIN.ids if item.startswith("bread"))
    assert asked(rule("pin", "Bread", position=1)).ids[0] == best


def test_a_pinned_item_keeps_its_place_on_every_page() -> None:
    pin = rule("pin", PLAIN.ids[0], position=5)
    whole = asked(pin, n=12)
    assert whole.ids[4] == PLAIN.ids[0]
    pages = [asked(pin, n=4, offset=offset).ids for offset in (0, 4, 8)]
    assert [item for page in pages for item in page] == whole.ids


@pytest.mark.parametrize(
    "query",
    [
        {"exclude_items": ("spade1",)},
        {"exclude_categories": ("Tools",)},
        {"placement": "buy_again"},
        {"max_price": 2.0},
    ],
)
def test_a_pin_obeys_filters_and_placement(query: dict[str, Any]) -> None:
    assert "spade1" not in asked(rule("pin", "spade1", position=1), **query).ids


def test_never_wins_over_a_pin() -> None:
    found = asked(rule("pin", "spade1", position=1), rule("never", "Tools"))
    assert found.ids == PLAIN.ids


def test_pins_count_against_quotas() -> None:
    found = asked(rule("pin", "bread4", position=6), quotas={"Bread": 2})
    assert sum(item.startswith("bread") for item in found.ids) == 2
    assert found.ids[5] == "bread4"


def test_only_with_needs_something_in_the_history_cart_or_view() -> None:
    only = rule("only-with", "Bread", beside="Paint")
    assert "bread" not in kinds(asked(only))
    assert "bread" in kinds(asked(rule("only-with", "Bread", beside="Milk")))
    assert "bread" in kinds(asked(only, placement="goes_with", items=("paint1",), n=EVERYTHING))
    assert "bread" in kinds(asked(only, user=None, history=("milk1", "paint2"), n=EVERYTHING))


def test_never_with_keeps_both_sides_apart_in_view_and_within_a_list() -> None:
    apart = rule("never-with", "Bread", beside="Dairy")
    beside_bread = asked(apart, placement="goes_with", items=("bread1",), user=None, n=EVERYTHING)
    assert kinds(beside_bread) == {"spade", "paint"}
    beside_milk = asked(apart, placement="goes_with", items=("milk1",), user=None, n=EVERYTHING)
    assert kinds(beside_milk) == {"spade", "paint"}
    within = asked(apart)
    assert kinds(within) & {"milk", "bread"} == {PLAIN.ids[0][:-1]}, "the side with the best item stays"
    assert within.rules[0].items == tuple(i for i in PLAIN.ids if i[:-1] != PLAIN.ids[0][:-1])


def test_one_way_holds_from_one_side_only() -> None:
    apart = rule("never-with", "Bread", beside="Dairy", direction="one way")
    view = {"placement": "goes_with", "user": None, "n": EVERYTHING}
    assert "bread" not in kinds(asked(apart, items=("milk1",), **view))
    assert "milk" in kinds(asked(apart, items=("bread1",), **view))
    assert asked(apart).ids == PLAIN.ids


def test_rules_hold_in_their_placements_and_on_their_days() -> None:
    assert asked(rule("never", "Dairy", placements=["similar"])).rules_cost is None
    assert asked(rule("never", "Dairy", until="2020-01-01")).ids == PLAIN.ids
    rules = RuleSet.of([rule("never", "Dairy", since="2026-02-01", until="2026-02-02")], "f")
    for day, holds in ((date(2026, 1, 31), False), (date(2026, 2, 2), True), (date(2026, 2, 3), False)):
        there = Merchandising(rules, SHOP, day=lambda day=day: day)
        assert (there.of("for_you", np.empty(0, np.int32), np.empty(0, np.int32)) is not None) == holds


def test_an_unknown_name_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ConfigError, match=r"rules, rule 'never': unknown category or item 'Mlik'"):
        ruled(rule("never", "Mlik"))


def test_rules_are_saved_with_the_model_and_checked(tmp_path: Path) -> None:
    shop = ruled(rule("never", "Dairy", since="2020-01-01"), rule("pin", "spade1", position=2))
    shop.save(tmp_path / "m")
    again = Recommender.load(tmp_path / "m")
    assert again.rules == shop.rules
    assert again.recommend(Query(user="u0", n=6)) == shop.recommend(Query(user="u0", n=6))
    (tmp_path / "m" / "rules.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"rules\.json"):
        Recommender.load(tmp_path / "m")


def test_what_is_measured_is_what_is_served() -> None:
    shop = ruled(
        rule("never", "Milk"), rule("boost", "bread4", weight=9), rule("only-with", "Paint", beside="Tools")
    )
    rows = np.arange(SHOP.n_users)
    scores = shop.ruled_batch(shop.histories.take(rows), "for_you")
    for user, row in enumerate(scores):
        best = np.argsort(-np.nan_to_num(row, nan=-np.inf), kind="stable")[:5]
        found = shop.recommend(Query(user=f"u{user}", n=5, in_stock=False))
        assert {i.item_id for i in found} <= set(SHOP.item_ids.ids(np.flatnonzero(~np.isnan(row))))
        assert sorted(row[best].tolist()) == pytest.approx(
            sorted(row[SHOP.item_ids.rows(found.ids)].tolist())
        )


# Whatever is asked

ITEMS = st.sampled_from([f"{kind}{i}" for kind in CATEGORIES for i in range(6)])
SIDE = st.lists(
    st.one_of(ITEMS, st.sampled_from(["Milk", "Bread", "Tools", "Paint"])), min_size=1, max_size=3
)
RULES = st.lists(
    st.one_of(
        st.builds(lambda items: {"action": "never", "items": items}, SIDE),
        st.builds(lambda items: {"action": "adults-only", "items": items}, SIDE),
        st.builds(
            lambda items, at: {"action": "pin", "items": items, "position": at}, SIDE, st.integers(1, 9)
        ),
        st.builds(
            lambda items, by: {"action": "boost", "items": items, "weight": by}, SIDE, st.floats(1.1, 99)
        ),
        st.builds(
            lambda items, by: {"action": "bury", "items": items, "weight": by}, SIDE, st.floats(1.1, 99)
        ),
        st.builds(lambda items, by: {"action": "only-with", "items": items, "beside": by}, SIDE, SIDE),
        st.builds(lambda items, by: {"action": "never-with", "items": items, "beside": by}, SIDE, SIDE),
    ),
    max_size=6,
)
QUERIES = st.builds(
    lambda placement, user, item, n, offset, more: Query(
        placement=placement,  # type: ignore[arg-type]
        user=user,
        items=(item,) if placement in ("goes_with", "similar") else (),
        n=n,
        offset=offset,
        **{name: value for name, value in more.items() if (placement, name) != ("discover", "cross_share")},
    ),
    st.sampled_from(PLACEMENTS),
    st.sampled_from(["u0", "u1", "u2", "nobody"]),
    ITEMS,
    st.integers(1, 12),
    st.integers(0, 6),
    st.fixed_dictionaries(
        {},
        optional={
            "adult": st.booleans(),
            "quota": st.integers(1, 3),
            "diversity": st.sampled_from([0.0, 0.5]),
            "cross_share": st.sampled_from([0.0, 0.5, "auto"]),
            "exclude_seen": st.booleans(),
            "max_price": st.floats(3.0, 30.0),
        },
    ),
)


def numbered(rules: list[dict[str, Any]]) -> RuleSet:
    taken: set[int] = set()
    kept = []
    for at, one in enumerate(rules):
        if one.get("position") not in taken:
            kept.append({"id": f"r{at}", **one})
            taken |= {one["position"]} if "position" in one else set()
    return RuleSet.of(kept, "drawn")


@settings(max_examples=150, deadline=None)
@given(RULES, QUERIES)
def test_no_list_breaks_a_rule(drawn: list[dict[str, Any]], query: Query) -> None:
    rules = numbered(drawn)
    shop = BASE.with_rules(rules)
    found, request = shop.recommend(query), shop.resolve(query)
    shown = shop.dataset.item_ids.rows(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    allowed = shop.lists.unruled(query, request)
    assert allowed[shown].all()
    view, history = set(request.view.tolist()), set(request.history.tolist())
    for one in shop.merchandising.matched:
        items, beside = set(one.items.tolist()), set(one.beside.tolist())
        there = items & set(shown.tolist())
        if one.rule.action == "never" or (one.rule.action == "adults-only" and not query.adult):
            assert not there
        if one.rule.action == "only-with" and not beside & (view | history):
            assert not there
        if one.rule.action == "never-with":
            assert not (there and beside & view)
            assert not (beside & set(shown.tolist()) and items & view)
            apart = items - beside
            assert not (apart & set(shown.tolist()) and (beside - items) & set(shown.tolist()))
    if found.rules_cost is not None and not (query.reorders or query.cross_share is not None):
        longer = query.offset + len(found) > len(BASE.recommend(replace(query, n=query.depth, offset=0)))
        assert found.rules_cost >= -1e-6 or query.quota or longer
    for said in found.rules:
        assert said.items


@settings(max_examples=60, deadline=None)
@given(RULES, QUERIES, st.randoms())
def test_the_order_of_rules_means_nothing(drawn: list[dict[str, Any]], query: Query, random: Any) -> None:
    rules = numbered(drawn)
    mixed = rules.to_list()
    random.shuffle(mixed)
    assert RuleSet.of(mixed, "mixed") == rules
    assert BASE.with_rules(RuleSet.of(mixed, "m")).recommend(query) == BASE.with_rules(rules).recommend(query)


@settings(max_examples=60, deadline=None)
@given(RULES, QUERIES)
def test_pages_under_rules_are_parts_of_one_list(drawn: list[dict[str, Any]], query: Query) -> None:
    shop = BASE.with_rules(numbered(drawn))
    whole = shop.recommend(replace(query, n=12, offset=0, page=4)).ids
    pages = [shop.recommend(replace(query, n=4, offset=offset)).ids for offset in (0, 4, 8)]
    assert [item for page in pages for item in page] == whole


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), ITEMS, QUERIES)
def test_a_pin_is_at_its_place_where_it_may_be_shown(place: int, item: str, query: Query) -> None:
    shop = ruled(rule("pin", item, position=place))
    found, request = shop.recommend(query), shop.resolve(query)
    allowed = shop.lists.unruled(query, request)[shop.dataset.item_ids.row(item)]
    at = place - 1 - query.offset
    if allowed and 0 <= at < len(found) and not query.quota:
        assert found.ids[at] == item
    if not allowed:
        assert item not in found.ids
