"""Events that do not fit in memory: the data set is that of an import in memory, bit for bit."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from crossaisle.config import DataConfig
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ingest.importer import Imported, import_dataset, import_frames
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.spill.columns import BLOCK, Column, blank
from crossaisle.decode import build
from crossaisle.errors import DataError

AMPLE = ReadLimits(batch=64, csv_block=2048)
TIGHT = replace(AMPLE, events_in_memory=40)


def messy(n: int, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Items, events and users with every kind of dirt that a row can have."""
    rng = np.random.default_rng(seed)
    items = pl.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(30)],
            "title": [f"Thing {k}" for k in range(30)],
            "categories": [f"A > {k % 4}" for k in range(30)],
        }
    )
    pick = rng.random(n)

    def dirty(values: list[str], low: float, high: float, wrong: str | None) -> list[str | None]:
        return [wrong if low <= p < high else v for v, p in zip(values, pick.tolist(), strict=True)]

    events = pl.DataFrame(
        {
            "user_id": dirty([f"u{k}" for k in rng.integers(0, n // 6, n)], 0.0, 0.05, None),
            "item_id": dirty([f" i{k}" for k in rng.integers(0, 33, n)], 0.05, 0.08, ""),
            "basket_id": dirty([f"b{k}" for k in rng.integers(0, n // 3, n)], 0.5, 0.6, None),
            "time": dirty(
                [str(k) for k in rng.integers(1_600_000_000, 1_600_000_900, n)], 0.1, 0.14, "yesterday"
            ),
            "position": [str(k) for k in rng.integers(0, 5, n)],
            "kind": dirty([["view", "cart", "Purchase"][k] for k in rng.integers(0, 3, n)], 0.2, 0.3, None),
            "value": dirty([f"{v:.2f}" for v in rng.random(n)], 0.3, 0.33, "much"),
            "quantity": dirty([str(k) for k in rng.integers(1, 4, n)], 0.4, 0.42, "-1"),
        }
    )
    users = pl.DataFrame({"user_id": [f"u{k}" for k in range(5, 25)], "city": ["x"] * 20})
    return items, events, users


def assert_same(spilled: Imported, whole: Imported) -> None:
    for imported in (spilled, whole):
        for step in imported.report["cleaning"]:
            step["seconds"] = 0
    assert spilled.report == whole.report
    assert spilled.rejected.equals(whole.rejected)
    assert_same_data(spilled.dataset, whole.dataset)


def assert_same_data(spilled: Dataset, whole: Dataset) -> None:
    for log in ("events", "log", "against"):
        one, other = getattr(spilled, log), getattr(whole, log)
        assert (one is None) == (other is None)
        for field in fields(Events) if other is not None else ():
            left, right = getattr(one, field.name), getattr(other, field.name)
            assert (left is None) == (right is None), field.name
            if right is not None:
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)
    assert spilled.user_ids.all == whole.user_ids.all
    assert spilled.item_ids.all == whole.item_ids.all
    assert spilled.kinds == whole.kinds
    assert spilled.users.equals(whole.users)


SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no items": {},
    "no users": {},
    "kinds unknown": {"default_kind": "view"},
    "rare items": {"min_users_per_item": 8},
    "a category left out": {"exclude_categories": ["A > 2"]},
    "robots": {"clean": {"robots": "on"}},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_as_in_memory_with_all_that_is_set_aside(name: str) -> None:
    items, events, users = messy(900)
    frames = (None if name == "no items" else items, events, None if name == "no users" else users)
    whole = import_frames(*frames, **SETTINGS[name], limits=AMPLE)
    spilled = import_frames(*frames, **SETTINGS[name], limits=TIGHT)
    assert len(whole.rejected) > 100
    assert len(whole.dataset.raw.events) > TIGHT.events_in_memory
    assert_same(spilled, whole)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_from_files_with_guests(suffix: str, tmp_path: Path) -> None:
    items, events, _ = messy(400, seed=1)
    for frame, name in ((items, "items"), (events, "events")):
        getattr(frame, f"write_{suffix}")(tmp_path / f"{name}.{suffix}")
    config = build(
        DataConfig,
        {
            "items": {"path": str(tmp_path / f"items.{suffix}")},
            "events": {"path": str(tmp_path / f"events.{suffix}"), "guests": "baskets"},
        },
        "test",
    )
    assert_same(import_dataset(config, limits=TIGHT), import_dataset(config, limits=AMPLE))


def test_baskets_without_users_and_without_times() -> None:
    items, events, _ = messy(500, seed=2)
    some = events.select("basket_id", "item_id")
    assert_same(import_frames(items, some, limits=TIGHT), import_frames(items, some, limits=AMPLE))


def test_more_rows_than_a_block_and_more_ids_than_wait() -> None:
    rng = np.random.default_rng(0)
    n = 150_000
    events = pl.DataFrame(
        {
            "user_id": rng.integers(0, 200_000, n),
            "item_id": rng.integers(0, 50, n),
            "time": rng.integers(1_600_000_000, 1_600_900_000, n),
        }
    )
    spilled = import_frames(None, events, limits=ReadLimits(events_in_memory=50_000, batch=10_000)).dataset
    whole = import_frames(None, events).dataset
    assert len(events) > 2 * BLOCK
    assert_same_data(spilled, whole)
    assert isinstance(_owner(spilled.events.time), np.memmap)
    assert not isinstance(_owner(whole.events.time), np.memmap)


def _owner(values: Any) -> Any:
    """The array whose memory an array shows, at most one step away."""
    return values if values.base is None else values.base


def test_the_refusals_are_those_of_memory() -> None:
    items, events, _ = messy(300)
    wrong = events.with_columns(time=pl.lit("whenever"))
    said = []
    for limits in (TIGHT, AMPLE):
        with pytest.raises(DataError) as caught:
            import_frames(items, wrong, limits=limits)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "of 300 times cannot be read" in said[0]


def test_a_disk_without_room_is_named() -> None:
    with pytest.raises(
        DataError, match=r"nor in temporary files .*: set TMPDIR to a folder on a larger disk"
    ):
        blank(1 << 62, np.dtype(np.int8), 0)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    column = Column(10)
    for _ in range(4):
        column.add(np.arange(9, dtype=np.int32))
    assert column.finish().tolist() == [*range(9)] * 4
    assert not list(tmp_path.iterdir())
