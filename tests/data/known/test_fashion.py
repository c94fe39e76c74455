"""The fashion catalogue: its columns, brands read off titles, and pictures that become files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.known.fashion import FILE, brands_of, fashion_tables
from crossaisle.errors import DataError, FetchError
from tests.data.known.fashion_slice import fashion_slice, jpeg


def test_a_part_of_it_becomes_a_shop_without_events(tmp_path: Path) -> None:
    shop = load_catalogue("fashion", fashion_slice(tmp_path)).dataset
    assert (shop.n_items, shop.n_users, len(shop.events)) == (15, 0, 0)
    assert "16" not in shop.item_ids  # given away
    assert shop.taxonomy.paths[0] == (("Men", "Topwear", "Shirts"),)
    assert shop.taxonomy.level == 1
    assert shop.items["attributes"][0] == '{"colour": "Blue", "season": "Summer", "occasion": "Casual"}'
    assert shop.items["image"].null_count() == 15


def test_a_brand_is_what_titles_begin_with() -> None:
    titles = [
        "Old Mill Women Green Kurta",
        "Old Mill Men's Black Shoes",
        "old mill brown bag",
        "Lone Women Red Heels",
        "Men Blue Shirt",
        "",
    ]
    assert brands_of(pl.Series(titles)).to_list() == [*["Old Mill"] * 3, "", "", ""]


def test_a_brand_may_stand_before_whatever_it_makes() -> None:
    """Only what titles begin with and never say elsewhere."""
    titles = [
        "Colora Wine Not Lip Pot",
        "Colora Nude Polish",
        "Lily Herbals Rose Cream",
        "Lily Herbals Sun Screen",
        "Lily Herbals Body Milk",
        "Rose Dress",
        "Rose Top",
        "Once Only Polish",
    ]
    brands = [*["Colora"] * 2, *["Lily Herbals"] * 3, "", "", ""]
    assert brands_of(pl.Series(titles)).to_list() == brands


@pytest.mark.parametrize("as_struct", [False, True])
def test_pictures_become_files(tmp_path: Path, as_struct: bool) -> None:
    root, folder = fashion_slice(tmp_path, as_struct=as_struct), tmp_path / "out" / "pictures"
    catalogue = replace(find_catalogue("fashion"), tables=partial(fashion_tables, pictures=folder))
    shop = load_catalogue(catalogue, root).dataset
    assert shop.items["image"][0] == str((folder / "1.jpg").resolve())
    assert (folder / "1.jpg").read_bytes() == jpeg((12, 80, 160))
    assert shop.items["image"][-1] is None
    before = (folder / "1.jpg").stat().st_mtime_ns
    load_catalogue(catalogue, root)
    assert (folder / "1.jpg").stat().st_mtime_ns == before
    assert not list(folder.glob("*.part"))
    # No picture of what is given away: it is no product of the shop.
    assert {file.stem for file in folder.iterdir()} <= set(shop.item_ids.all)


def test_missing_data_is_one_line_that_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as error:
        load_catalogue("fashion", tmp_path)
    assert "\n" not in str(error.value)
    assert "fashion/products.parquet is not below" in str(error.value)
    assert "ashraq/fashion-product-images-small" in str(error.value)


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / FILE)
    with pytest.raises(DataError, match=r"products\.parquet: has no column productDisplayName: use ashraq/"):
        load_catalogue("fashion", tmp_path)


def test_the_real_one(shared_data: Path) -> None:
    shop = load_catalogue("fashion", shared_data).dataset
    assert (shop.n_items, len(shop.taxonomy.categories)) == (3_897, 357)
    assert shop.items["brand"].n_unique() > 200
    assert (shop.items["brand"] == "Puma").sum() > 200
