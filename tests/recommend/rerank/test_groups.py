"""One product is one place: items of one title and brand, and caps on brands."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.query import Query
from crossaisle.errors import ConfigError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.rerank.groups import Groups
from crossaisle.recommend.rerank.quota import category_caps, select

TITLES = ["Milk", "milk", "Milk", "", "", "Bread", None, "Jam"]
BRANDS = ["own", "OWN", "other", "own", "own", "own", "own", "other"]


def groups() -> Groups:
    return Groups.of(pl.Series(TITLES, dtype=pl.String), pl.Series(BRANDS, dtype=pl.String))


def test_groups_are_titles_and_brands_and_blanks_are_in_none() -> None:
    rows = np.arange(len(TITLES), dtype=np.int32)[::-1]
    members, place = groups().members(rows)
    assert members.tolist() == [0, 1, 0, 1]
    assert rows[place].tolist() == [1, 1, 0, 0]
    assert groups().many.tolist() == [True, True, *([False] * 6)]


@pytest.mark.parametrize(
    ("titles", "one"),
    [
        (("Milk White Only", "Milk White Only, 1 ga", "Milk White Only, gal"), True),
        (("Milk, 1 gal", "Milk, .5 gal", "MILK, 0.5 Gal", "Milk, 64 oz", "Milk", "Milk, gal"), True),
        (("Eggs - Large, 1 dz", "Eggs - Large, 18 ct"), True),
        (("Eggs - Large, 1 dz", "Eggs - X-Large, 1 dz"), False),
        (("Peppers, 48-54 ct", "Peppers, 22 ct", "Peppers"), True),
        (("Fruit Cups, 6/3.9 oz", "Fruit Cups, 4 pk"), True),
        (("Shampoo 12 fl oz", "Shampoo 250 ml"), True),
        (("Olive Oil 500ml extra virgin", "Olive Oil extra virgin"), True),
        (("Diapers, 2 t-3 t/44 ct", "Diapers, 34 ct", "Diapers, 7 7/8 oz", "Diapers, (18) 2 lb"), True),
        (("Atlas, 2nd edition", "Atlas, 3rd edition"), False),
        (("Milk, 2%", "Milk, 1%"), False),
        (("Phone 128 GB", "Phone 256 GB"), False),
        (("Milk 2%", "Milk 1%"), False),
        (("Vitamin B12, 30 ct", "Vitamin B6, 30 ct"), False),
        (("Catch 22", "Catch 23"), False),
        (("12 oz", "16 oz"), False),
    ],
)
def test_sizes_are_one_product(titles: tuple[str, ...], one: bool) -> None:
    keys = Groups.of_products(pl.Series(titles), pl.Series([""] * len(titles))).keys
    assert len(set(keys.tolist())) == (1 if one else len(titles))


def test_a_cap_holds_for_groups_that_have_more() -> None:
    rows = np.arange(len(TITLES), dtype=np.int32)
    cap = groups().cap(rows, 1)
    assert cap is not None
    assert cap.codes.tolist() == [0, 0, -1, -1, -1, -1, -1, -1]
    assert cap.limits.tolist() == [1]
    assert groups().cap(rows[1:], 1) is None, "nothing to cap: lists stay as fast as they were"
    assert groups().cap(rows, 2) is None


def shop() -> Dataset:
    """Ten kinds of milk that differ by nothing a customer sees, then bread, jam and two without a title."""
    names = [*(["Milk"] * 10), "Bread", "Jam", "", ""]
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(len(names))],
            "title": names,
            "brand": [*(["own"] * 11), "other", "", ""],
            "categories": [*(["Dairy"] * 10), "Bakery", "Spreads", "Spreads", "Spreads"],
            "in_stock": [i != 9 for i in range(len(names))],
        }
    )
    bought = [i for i in range(len(names)) for _ in range(20 - i)]  # i0 sells best
    events = pl.DataFrame(
        {"user_id": [f"u{n}" for n in range(len(bought))], "item_id": [f"i{i}" for i in bought]}
    )
    return import_frames(items, events).dataset


SHOP = shop()
FITTED = Recommender(SHOP, Blend(parts={"popularity": Popularity()}).fit(SHOP))


def trending(**controls: object) -> list[str]:
    return FITTED.recommend(Query(placement="trending", **controls)).ids  # type: ignore[arg-type]


def test_a_title_stands_in_a_list_once_and_says_how_many_more_there_are() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=5))
    assert answer.ids == ["i0", "i10", "i11", "i12", "i13"], "items without a title are never doubles"
    assert [item.more_like_it for item in answer] == [8, 0, 0, 0, 0], "i9 is sold out"
    assert answer.relevance_kept is not None
    assert answer.relevance_kept == pytest.approx((20 + 10 + 9 + 8 + 7) / (20 + 19 + 18 + 17 + 16))


def test_it_can_be_switched_off() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=5, one_per_title=False))
    assert answer.ids == ["i0", "i1", "i2", "i3", "i4"]
    assert [item.more_like_it for item in answer] == [0] * 5
    assert answer.relevance_kept == pytest.approx(1.0)


def test_pages_do_not_repeat_a_title() -> None:
    assert trending(n=2) + trending(n=2, offset=2) == trending(n=4)


def test_what_is_filtered_out_neither_stands_in_for_others_nor_counts() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=2, exclude_items=("i0", "i1")))
    assert answer.ids == ["i2", "i10"]
    assert answer.items[0].more_like_it == 6


def test_a_brand_fills_no_list() -> None:
    assert trending(n=5, max_per_brand=1) == ["i0", "i11", "i12", "i13"]
    assert trending(n=3, max_per_brand=2, one_per_title=False) == ["i0", "i1", "i11"]
    with pytest.raises(ConfigError, match="max_per_brand must be at least 1"):
        Query(max_per_brand=0)


def test_diverse_lists_keep_to_it_too() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=4, diversity=0.3))
    titles = [item.title for item in answer if item.title]
    assert len(titles) == len(set(titles))


def test_a_group_of_the_shop_stands_in_a_list_once_whatever_its_titles() -> None:
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Runner red", "Runner blue", "Bread"],
            "parent": ["p", "p", None],
        }
    )
    events = pl.DataFrame({"user_id": ["u", "v", "w", "x"], "item_id": ["a", "a", "b", "c"]})
    grouped = import_frames(items, events, columns={"items": {"group_id": "parent"}}).dataset
    fitted = Recommender(grouped, Blend(parts={"popularity": Popularity()}).fit(grouped))
    answer = fitted.recommend(Query(placement="trending", n=3))
    assert answer.ids == ["a", "c"]
    assert [item.more_like_it for item in answer] == [1, 0]


def test_what_joins_a_mixed_list_answers_to_titles_and_quotas() -> None:
    ids = ["i0", "i1", "i10", "i11", "unknown"]
    admits = FITTED.lists.admission(Query(placement="trending"), ids)
    assert [admits(item) for item in ids] == [True, False, True, True, True]
    admits = FITTED.lists.admission(Query(placement="trending", one_per_title=False, quota=1), ids)
    assert [admits(item) for item in ids] == [True, False, True, True, True]
    admits = FITTED.lists.admission(Query(placement="trending", one_per_title=False), ids)
    assert all(admits(item) for item in ids)


def test_another_size_of_what_lies_in_the_cart_does_not_go_with_it() -> None:
    """Two categories, one product: the big bottle is no complement of the small one."""
    items = pl.DataFrame(
        {
            "item_id": ["small", "big", "chips"],
            "title": ["Cola, 0.5 l", "Cola, 2 l", "Chips, 200 g"],
            "categories": ["Single drinks", "Large drinks", "Snacks"],
        }
    )
    events = pl.DataFrame({"user_id": ["a", "a", "a", "b"], "item_id": ["small", "big", "chips", "big"]})
    bare = import_frames(items, events).dataset
    kiosk = Recommender(bare, Blend(parts={"popularity": Popularity()}).fit(bare))
    assert kiosk.goes_with(["small"]).ids == ["chips"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 3)), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_one_by_one_is_what_caps_select(
    items: list[tuple[int, int]], most: int, of_code: int, n_placed: int
) -> None:
    keys, codes = (np.array(column) for column in zip(*items, strict=True))
    groups, codes = Groups(keys.astype(np.uint64)), codes.astype(np.int32)
    rows = np.arange(len(items), dtype=np.int32)
    placed, rows = rows[:n_placed], rows[n_placed:]
    every = np.concatenate([rows, placed])
    cap = groups.cap(every, 1)
    hard = [] if cap is None else [cap.after(np.arange(len(rows), len(every))).at(np.arange(len(rows)))]
    hard += category_caps(codes[rows], of_code, []) if of_code else []
    found = groups.first_of_each(rows, most, placed, codes if of_code else None, of_code)
    assert found.tolist() == select(len(rows), most, hard).tolist()
