"""Pages of one list: together they hold every item once, whatever the controls are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.errors import ConfigError
from crossaisle.recommend.answer import Recommendation
from crossaisle.recommend.limits import ListLimits
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP

SHORT = Recommender(SHOP, FITTED.blend, limits=ListLimits(prefix=1))

controls = st.fixed_dictionaries(
    {
        "placement": st.sampled_from(PLACEMENTS),
        "user": st.sampled_from(["u0", "u1", "u7", "stranger"]),
        "n": st.integers(1, 7),
        "cross_share": st.none() | st.floats(0, 1) | st.just("auto"),
        "diversity": st.sampled_from([None, 0.4, 1.0]),
        "quota": st.none() | st.integers(1, 3),
        "quotas": st.sampled_from([{}, {"Dairy": 2}, {"Dairy": 3, "Milk": 1}]),
        "exclude_categories": st.sampled_from([(), ("Bread",)]),
        "exclude_seen": st.none() | st.booleans(),
    }
)


def query_of(drawn: dict[str, Any]) -> Query:
    view = ("bread1",) if drawn["placement"] in ("goes_with", "similar") else ()
    if drawn["placement"] == "discover":  # which takes none
        drawn = {name: value for name, value in drawn.items() if name != "cross_share"}
    return Query(items=view, **drawn)


def pages(shop: Any, query: Query) -> list[tuple[Recommendation, ...]]:
    out = []
    while items := shop.recommend(replace(query, offset=len(out) * query.n)).items:
        out.append(items)
    return out


@settings(deadline=None)
@given(controls)
def test_pages_hold_every_item_once(drawn: dict[str, Any]) -> None:
    query = query_of(drawn)
    found = [item for page in pages(FITTED, query) for item in page]
    ids = [item.item_id for item in found]
    assert len(set(ids)) == len(ids)
    assert [item.rank for item in found] == list(range(1, len(found) + 1))
    whole = FITTED.recommend(replace(query, n=60, page=query.n))
    assert list(whole.items) == found
    plain = FITTED.recommend(replace(query, n=60, cross_share=None, diversity=None))
    assert len(plain) == len(ids)
    if query.quota is None and not query.quotas:
        assert set(plain.ids) == set(ids)


@settings(deadline=None)
@given(controls, st.integers(0, 30))
def test_a_list_is_the_same_wherever_it_is_cut(drawn: dict[str, Any], offset: int) -> None:
    query = query_of(drawn)
    whole = FITTED.recommend(replace(query, n=60, page=query.n)).ids
    assert FITTED.recommend(replace(query, offset=offset)).ids == whole[offset : offset + query.n]
    if not query.diversity:  # which considers more candidates than the short prefix holds
        assert SHORT.recommend(replace(query, offset=offset)).ids == whole[offset : offset + query.n]


@settings(deadline=None)
@given(controls)
def test_quotas_hold_over_all_pages(drawn: dict[str, Any]) -> None:
    query = query_of(drawn)
    names = [item.category.split(" > ")[0] for page in pages(FITTED, query) for item in page]
    assert names.count("Dairy") <= query.quotas.get("Dairy", SHOP.n_items)
    if query.quota is not None and not query.quotas:
        assert max((names.count(name) for name in set(names)), default=0) <= query.quota


def test_a_share_holds_on_each_page() -> None:
    query = Query(history=("milk0", "milk1", "milk2"), n=4, cross_share=0.5, exclude_seen=False)
    shares = [FITTED.recommend(replace(query, offset=offset)).cross_share for offset in (0, 4)]
    assert shares == [0.5, 0.5]


def test_a_page_behind_the_end_is_empty() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=10, offset=100, in_stock=False))
    assert answer.items == ()
    assert answer.notice == "0 of 10: no more items match the placement and its filters"


def test_later_pages_avoid_what_is_like_earlier_ones() -> None:
    one_by_one = [
        FITTED.recommend(Query(placement="trending", n=1, offset=at, diversity=1.0)).items[0]
        for at in range(4)
    ]
    assert len({item.category.split(" > ")[0] for item in one_by_one}) == 4


def test_a_page_has_a_length() -> None:
    with pytest.raises(ConfigError, match=r"page must be at least 1 \(found 0\)"):
        Query(page=0)
