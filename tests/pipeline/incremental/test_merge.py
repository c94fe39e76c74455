"""What an import brings to a known shop: what a file has nothing of stays, and events fall into place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import DataError
from crossaisle.pipeline.incremental.merge import with_new
from tests.models.shops import tiny_shop
from tests.pipeline.incremental.test_incremental import CUT, first_items


@pytest.mark.parametrize(
    ("column", "nothing"),
    [("title", ""), ("description", ""), ("brand", ""), ("attributes", "")]
    + [(name, None) for name in ("price", "image", "url", "group", "title")],
)
def test_an_empty_field_of_a_known_item_keeps_what_is_known(column: str, nothing: str | None) -> None:
    """And those of other items are what the file says."""
    shop = tiny_shop()
    values = [4.5 if column == "price" else f"known {n}" for n in range(shop.n_items)]
    known = replace(shop, items=shop.items.with_columns(pl.Series(column, values).alias(column)))
    told = [*values[:2], *(9.5 if column == "price" else f"new {n}" for n in range(2, 6)), *values[6:]]
    told[0] = told[3] = nothing  # type: ignore[call-overload]
    now = replace(known, items=known.items.with_columns(pl.Series(column, told, strict=False)))
    added = with_new(known.before(CUT), now)
    after = added.change.after.items[column].to_list()
    assert after == [values[0], values[1], told[2], values[3], *told[4:]]
    assert added.kept == {column: 2}
    assert added.change.after.items.columns == known.items.columns


def test_an_item_without_categories_keeps_those_it_had() -> None:
    shop = tiny_shop()
    paths = ((), (("Elsewhere",),), *shop.taxonomy.paths[2:])
    added = with_new(shop.before(CUT), replace(shop, taxonomy=Taxonomy(paths)))
    after = added.change.after.taxonomy.paths
    assert after == (shop.taxonomy.paths[0], *paths[1:])
    assert added.kept == {"categories": 1}
    assert not added.same_texts


def test_a_column_that_the_files_lack_stays() -> None:
    shop = tiny_shop()
    known = replace(shop, items=shop.items.with_columns(group=pl.lit("g"), expires=pl.lit(7, pl.Int64)))
    after = with_new(known.before(CUT), shop).change.after.items
    assert after["group"].to_list() == ["g"] * shop.n_items
    assert after["expires"].to_list() == [7] * shop.n_items
    lifted = replace(known, items=known.items.with_columns(expires=pl.lit(None, pl.Int64)))
    assert with_new(known.before(CUT), lifted).change.after.items["expires"].null_count() == shop.n_items


def test_one_or_two_items_with_other_titles_are_renamed_only_by_people_who_are_known() -> None:
    shop = first_items(tiny_shop(), 2)
    renamed = replace(shop, items=shop.items.with_columns(pl.Series("title", ["a", "b"])))
    assert with_new(shop, renamed).change.after.items["title"].to_list() == ["a", "b"]
    users = Vocabulary([f"stranger {n}" for n in range(shop.n_users)], what="user")
    with pytest.raises(DataError, match="0 of 2 items have the titles that the model knows"):
        with_new(shop, replace(renamed, user_ids=users))


def test_events_are_merged_in_order_and_repeats_of_a_file_count_as_in_a_fit() -> None:
    shop = tiny_shop()
    assert shop.events.time is not None
    odd = np.arange(len(shop.events)) % 3 == 0  # not only the last ones
    twice = np.sort(np.concatenate([np.arange(len(shop.events)), [5, 9]]))
    now = shop.with_events(twice)
    after = with_new(shop.with_events(~odd), now).change.after.events
    for name in ("user", "item", "time", "kind", "quantity"):
        found = np.sort(getattr(after, name))
        # of the two repeats, event 9 is new and counts twice; of event 5 nothing is new
        wanted = np.delete(getattr(now.events, name), np.searchsorted(twice, 5))
        np.testing.assert_array_equal(found, np.sort(wanted))
    order = np.lexsort((after.time, after.user))
    np.testing.assert_array_equal(order, np.arange(len(after)))
    assert with_new(now, now).events == 0
    assert with_new(shop.with_events(~odd), shop.with_events(odd)).events == odd.sum()


def test_events_before_all_that_was_known_are_counted() -> None:
    shop = tiny_shop()
    assert shop.events.time is not None
    late = shop.with_events(shop.events.time >= CUT)
    assert with_new(late, shop).older == (shop.events.time < late.events.time.min()).sum() > 0
    assert with_new(shop.before(CUT), shop).older == 0
