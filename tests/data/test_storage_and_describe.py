from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.ingest.ledger import write_import
from crossaisle.data.profile.describe import describe, describe_table
from crossaisle.data.storage import FIELDS, load_dataset, save_dataset
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ArtifactError, DataError, UnknownIdError
from tests.data.categories import all_names


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_of_the_system(shop: Dataset, tmp_path: Path) -> None:
    (tmp_path / "rejected.parquet").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"rejected\.parquet: .*No space left"):
        write_import(tmp_path, {}, shop.items)
    (tmp_path / "items.parquet").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"items\.parquet: .*No space left"):
        save_dataset(shop, tmp_path)


@pytest.mark.parametrize("name", ["dataset.json", "paths.parquet", "events/item.npy", "item_path.npy"])
def test_a_damaged_folder_is_refused(shop: Dataset, tmp_path: Path, name: str) -> None:
    save_dataset(shop, tmp_path / "data")
    (tmp_path / "data" / name).write_bytes(b"garbage")
    with pytest.raises(ArtifactError, match=f"{name}: damaged: cannot be read .*; restore it or fit again"):
        load_dataset(tmp_path / "data")
    (tmp_path / "data" / name).unlink()
    with pytest.raises(ArtifactError, match=f"{Path(name).stem}.*; restore it or fit again"):
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


def test_describe_tells_returns_from_purchases() -> None:
    """Lines of invoices name no kind: a negative quantity is a return, and no purchase."""
    lines = pl.DataFrame(
        {
            "user_id": ["ann", "ann", "bob", "ann"],
            "item_id": ["dress", "scarf", "dress", "dress"],
            "time": ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-05"],
            "quantity": [1, 1, 2, -1],
        }
    )
    facts = describe(import_frames(None, lines).dataset)
    assert (facts["kinds"], facts["negative_quantities"], facts["events"]) == ({"purchase": 4}, 1, 2)
    console = Console(width=120, record=True)
    console.print(describe_table(facts))
    said = console.export_text()
    assert "4 purchase; of these with a negative quantity, which take back: 1" in said
    assert "events that count" in said
    assert "2: without what was taken back" in said


def test_a_taxonomy_changed_is_as_one_made_anew() -> None:
    paths = ((("Food", "Tea"),), (("Food", "Tea"), ("Gifts",)), (), (("Tools",),), (("Food", "Jam"),))
    moved = {0: (("Food", "Jam", "Plum"),), 3: (("Garden",),)}
    more = [(("Food", "Tea"),), (), (("Toys", "Bricks"),)]
    expected = Taxonomy((moved[0], paths[1], paths[2], moved[3], paths[4], *more), 1)
    changed = Taxonomy(paths, 1).changed(moved, more)
    assert changed == expected
    assert changed.depth == expected.depth == 3
    assert set(all_names(changed)) == set(all_names(expected))
    assert "Tools" not in all_names(changed)
    with pytest.raises(UnknownIdError):
        changed.find("Tools")
    for name in all_names(expected):
        np.testing.assert_array_equal(changed.find(name), expected.find(name))
    for depth in range(3):
        for taxonomy in (changed, expected):
            names = [*taxonomy.names(depth), ""]
            found = [names[code] for code in taxonomy.codes(depth)]
            assert found == [" > ".join(p[0][: depth + 1]) if p else "" for p in expected.paths]


def test_a_vocabulary_grows_at_its_end() -> None:
    old = Vocabulary(["a", "b"], what="item")
    new = old.and_more(["c"])
    assert new.all == ("a", "b", "c")
    assert new == Vocabulary("abc")
    assert (new.row("c"), new.row("a"), old.get("c")) == (2, 0, -1)
    with pytest.raises(DataError, match="duplicate items"):
        new.and_more(["a"])
