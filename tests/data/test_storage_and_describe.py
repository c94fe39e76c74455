from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from crossaisle.data.dataset import Dataset
from crossaisle.data.describe import describe, describe_table
from crossaisle.data.importer import import_frames
from crossaisle.data.storage import FIELDS, load_dataset, save_dataset
from crossaisle.errors import ArtifactError


def test_a_saved_data_set_comes_back_whole(shop: Dataset, tmp_path: Path) -> None:
    save_dataset(shop, tmp_path / "data")
    back = load_dataset(tmp_path / "data")
    assert back.items.equals(shop.items)
    assert back.users.equals(shop.users)
    assert (back.item_ids, back.user_ids) == (shop.item_ids, shop.user_ids)
    assert back.taxonomy == shop.taxonomy
    assert (back.name, back.kinds, back.users_are_baskets) == ("tiny", ("purchase",), False)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(back.events, name), getattr(shop.events, name))
        assert getattr(back.events, name).dtype == getattr(shop.events, name).dtype


def test_without_time_and_categories(tmp_path: Path) -> None:
    events = pl.DataFrame({"basket_id": ["x", "x"], "item_id": ["a", "b"]})
    shop = import_frames(None, events).dataset
    save_dataset(shop, tmp_path / "data")
    back = load_dataset(tmp_path / "data")
    assert back.events.time is None
    assert back.users_are_baskets
    assert back.taxonomy.paths == ((), ())


@pytest.mark.parametrize("name", ["dataset.json", "paths.parquet", "events/item.npy", "item_path.npy"])
def test_a_damaged_folder_is_refused(shop: Dataset, tmp_path: Path, name: str) -> None:
    save_dataset(shop, tmp_path / "data")
    (tmp_path / "data" / name).write_bytes(b"garbage")
    with pytest.raises(ArtifactError, match="not a complete data set"):
        load_dataset(tmp_path / "data")
    (tmp_path / "data" / name).unlink()
    with pytest.raises(ArtifactError, match="not a complete data set"):
        load_dataset(tmp_path / "data")


def test_describe(shop: Dataset) -> None:
    facts = describe(shop)
    json.dumps(facts)
    assert (facts["items"], facts["users"], facts["events"]) == (10, 5, 22)
    assert facts["baskets"] == 9
    assert facts["items_without_events"] == 1
    assert facts["distinct_pairs"] == 17
    assert facts["sparsity"] == pytest.approx(1 - 17 / 50)
    assert facts["repeat_share"] == pytest.approx(1 - 17 / 22, abs=1e-4)
    assert facts["events_per_user"]["max"] == 7
    assert [level["categories"] for level in facts["levels"]] == [4, 7]
    assert facts["levels"][0]["largest"]["Bakery"] == 4
    # of 17 steps within a user, one stays in its department: cheese after milk
    assert facts["levels"][0]["crossing_share"] == round(16 / 17, 4)
    assert facts["missing"] == {
        "title": 0, "description": 10, "brand": 2, "attributes": 10, "price": 1, "image": 10, "categories": 0,
    }  # fmt: skip
    console = Console(record=True, width=100)
    console.print(describe_table(facts))
    assert "4: Bakery 4" in console.export_text()
