"""What the controls of a query do to its list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.history import Floats
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP, categories, recommender, seen

names = st.sampled_from(["Dairy", "Bakery > Bread", "garden", "Paint"])


@given(
    st.sampled_from(PLACEMENTS),
    st.sampled_from(["u0", "u1", "u7", "stranger"]),
    st.integers(1, 30),
    st.none() | st.floats(0, 1) | st.just("auto"),
    st.lists(names, max_size=2),
    st.none() | st.integers(1, 3),
    st.none() | st.floats(0, 12),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.none() | st.booleans(),
)
def test_every_control_holds_in_every_list(
    placement: str,
    user: str,
    k: int,
    share: float | str | None,
    excluded: list[str],
    quota: int | None,
    low: float | None,
    diversity: float,
    exclude_seen: bool | None,
) -> None:
    view = ("bread1",) if placement in ("goes_with", "similar") else ()
    query = Query(
        placement=placement,  # type: ignore[arg-type]
        user=user,
        items=view,
        n=k,
        cross_share=None if placement == "discover" else share,  # type: ignore[arg-type]
        exclude_categories=tuple(excluded),
        quota=quota,
        quotas={"Milk": 2},
        min_price=low,
        max_price=None if low is None else low + 8,
        diversity=diversity,
        exclude_seen=exclude_seen,
    )
    answer = FITTED.recommend(query)
    assert answer == FITTED.recommend(query)
    assert len(set(answer.ids)) == len(answer) <= k
    assert "bread0" not in answer.ids
    assert not set(view) & set(answer.ids)
    for name in excluded:
        rows = set(SHOP.taxonomy.find(name).tolist())
        assert not rows & set(SHOP.item_ids.rows(answer.ids).tolist())
    counts = {c: categories(answer).count(c) for c in set(categories(answer))}
    assert counts.pop("Dairy", 0) <= 2
    assert quota is None or max(counts.values(), default=0) <= quota
    if low is not None:
        assert all(r.price is not None and low - 1e-4 <= r.price <= low + 8 + 1e-4 for r in answer)
    if exclude_seen and user != "stranger":
        assert not seen(user) & set(answer.ids)
    assert len(answer) == k or "no more items match" in answer.notice
    if answer.relevance_kept is not None and min(r.score for r in answer) >= 0:
        assert answer.relevance_kept <= 1 + 1e-6


def test_an_excluded_item_that_is_unknown_is_said() -> None:
    answer = FITTED.recommend(Query(placement="trending", exclude_items=("bread1", "braed2"), n=20))
    assert answer.notices[0] == "1 unknown item(s) of exclude_items ignored: 'braed2'"
    assert "bread1" not in answer.ids
    assert "bread2" in answer.ids


@pytest.mark.parametrize(("share", "outside"), [(0.0, 0), (0.4, 2), (1.0, 5)])
def test_the_cross_category_share_is_kept_and_its_cost_is_told(share: float, outside: int) -> None:
    answer = FITTED.recommend(
        Query(history=("milk0", "milk1", "milk2"), n=5, cross_share=share, exclude_seen=False)
    )
    assert sum(c != "Dairy" for c in categories(answer)) == outside
    assert answer.cross_share == pytest.approx(outside / 5)
    free = FITTED.recommend(Query(history=("milk0", "milk1", "milk2"), n=5, exclude_seen=False))
    kept = sum(r.score for r in answer) / sum(r.score for r in free)
    assert answer.relevance_kept == pytest.approx(kept, rel=1e-5)
    assert free.relevance_kept == 1.0


def test_a_share_without_a_history_is_said_to_be_ignored() -> None:
    answer = FITTED.recommend(Query(placement="trending", user="nobody", cross_share=0.5, n=3))
    assert answer.notice == "cross_share needs a history with known categories, so it is ignored"
    assert answer.cross_share is None


def test_stock_and_included_categories() -> None:
    bread = Query(placement="trending", include_categories=("Bread",), n=10)
    assert "bread0" not in FITTED.recommend(bread).ids
    everything = FITTED.recommend(replace(bread, in_stock=False))
    assert set(everything.ids) == {f"bread{i}" for i in range(5)}


@given(
    st.sampled_from(PLACEMENTS),
    st.sets(st.sampled_from([*SHOP.item_ids.all, "nothing"]), max_size=8),
    st.sets(st.sampled_from([*SHOP.item_ids.all, "nothing"]), max_size=8),
)
def test_only_these_items_and_never_those(placement: str, only: set[str], never: set[str]) -> None:
    view = ("bread1",) if placement in ("goes_with", "similar") else ()
    query = Query(placement=placement, user="u0", items=view, n=30)  # type: ignore[arg-type]
    answer = FITTED.recommend(replace(query, include_items=tuple(only), exclude_items=tuple(never)))
    every = FITTED.recommend(query).ids
    assert answer.ids == [item for item in every if (not only or item in only) and item not in never]
    told = "1 unknown item(s) of include_items cannot be shown: 'nothing'"
    assert (told in answer.notices) == ("nothing" in only)


def test_a_price_is_told_as_the_shop_wrote_it() -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "price": [4.89, 1e-3]})
    events = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"]})
    shop = import_frames(items, events).dataset
    answer = Recommender(shop, Blend(parts={"popularity": Popularity()}).fit(shop)).recommend(Query(n=2))
    assert {r.item_id: r.price for r in answer} == {"a": 4.89, "b": 1e-3}


def test_missing_prices_and_stock() -> None:
    items = SHOP.items.with_columns(
        pl.lit(None, pl.Float32).alias("price"), pl.lit(None, pl.Boolean).alias("in_stock")
    )
    bare = recommender(replace(SHOP, items=items))
    answer = bare.recommend(Query(placement="trending", n=30))
    assert len(answer) == 20
    assert answer.items[0].price is None
    assert len(bare.recommend(Query(placement="trending", min_price=0.0))) == 0


def test_k_larger_than_the_catalogue_returns_every_candidate() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=10_000, in_stock=False))
    assert len(answer) == 20
    assert answer.notice == "20 of 10000: no more items match the placement and its filters"


def test_no_candidate_left_is_an_empty_list() -> None:
    answer = FITTED.recommend(Query(placement="discover", history=("milk0", "bread0", "spade0", "paint0")))
    assert answer.ids == []
    assert answer.relevance_kept is None
    assert answer.notice == "0 of 10: no more items match the placement and its filters"


def test_diversity_uses_a_part_that_knows_similarity() -> None:
    class Alike(Popularity):
        def item_similarity(self, left: Rows, right: Rows) -> Floats:
            return np.ones((len(left), len(right)), np.float32)

    shop = Recommender(SHOP, Blend(parts={"popularity": Alike()}).fit(SHOP))
    plain = shop.recommend(Query(placement="trending", n=5))
    assert shop.recommend(Query(placement="trending", n=5, diversity=0.5)).ids == plain.ids
    spread = FITTED.recommend(Query(placement="trending", n=4, diversity=0.9))
    assert len(set(categories(spread))) == 4


def test_a_list_of_new_things_does_not_crowd_one_shelf() -> None:
    """Sixty shelves of three products each: whatever sells best, a page of ten takes two of a shelf."""
    shelves = [(f"s{shelf}-{at}", f"Shelf {shelf}") for shelf in range(60) for at in range(3)]
    items = pl.DataFrame(
        {
            "item_id": [item for item, _ in shelves],
            "title": [f"Product {item}" for item, _ in shelves],
            "categories": [[shelf] for _, shelf in shelves],
        }
    )
    bought = [(f"u{user}", item) for at, (item, _) in enumerate(shelves) for user in range(180 - at)]
    events = pl.DataFrame(bought, schema=["user_id", "item_id"], orient="row")
    shop = import_frames(items, events, category_level=0).dataset
    blend = Blend(parts={"popularity": Popularity()}, weights={"discover": {"popularity": 1.0}}).fit(shop)
    made = Recommender(shop, blend)
    asked = Query(placement="discover", history=("s59-0",), n=10)
    pages = [made.recommend(replace(asked, offset=at)).ids for at in (0, 10)]
    assert pages[0] == [f"s{shelf}-{at}" for shelf in range(5) for at in range(2)]
    assert pages[1][:5] == ["s0-2", "s1-2", "s2-2", "s3-2", "s4-2"]  # a page of its own
    assert not set(pages[0]) & set(pages[1])
    # Asked for otherwise, and where a page could not be filled, three of a shelf are shown.
    assert made.recommend(replace(asked, quota=3)).ids[:4] == ["s0-0", "s0-1", "s0-2", "s1-0"]
    narrow = replace(asked, include_categories=("Shelf 3", "Shelf 4"))
    assert made.recommend(narrow).ids == [f"s{shelf}-{at}" for shelf in (3, 4) for at in range(3)]
    beside = made.recommend(Query(placement="goes_with", items=("s59-0",), n=10))
    assert beside.ids == pages[0]
