"""Shared fixtures: a tiny shop whose right answers are known."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames

# A slow machine is no failure: what an example takes is not tested.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

ITEMS = (  # id, title, department, aisle, brand, price
    ("bread", "White bread", "Bakery", "Bread", "Mill", 2.0),
    ("rolls", "Bread rolls", "Bakery", "Bread", "Mill", 1.5),
    ("cake", "Lemon cake", "Bakery", "Cakes", "Sweet", 6.0),
    ("butter", "Salted butter", "Dairy", "Butter", "Meadow", 3.0),
    ("milk", "Whole milk", "Dairy", "Milk", "Meadow", 1.2),
    ("cheese", "Mild cheese", "Dairy", "Cheese", "", 4.5),
    ("jam", "Strawberry jam", "Pantry", "Spreads", "Sweet", 3.5),
    ("honey", "Forest honey", "Pantry", "Spreads", "", None),
    ("soap", "Lemon soap", "Household", "Cleaning", "Clean", 2.2),
    ("new", "Rye bread", "Bakery", "Bread", "Mill", 2.5),
)
BASKETS = (  # user, day of January 2024, items
    ("ann", 1, ("bread", "butter", "jam")),
    ("ann", 8, ("bread", "butter")),
    ("ann", 15, ("bread", "milk")),
    ("bob", 2, ("bread", "butter")),
    ("bob", 9, ("rolls", "butter", "honey")),
    ("cid", 3, ("milk", "cheese", "cake")),
    ("cid", 17, ("milk", "soap")),
    ("dee", 4, ("bread", "butter", "jam", "soap")),
    ("eve", 20, ("cake",)),
)


@pytest.fixture(scope="session")
def shop_items() -> pl.DataFrame:
    names = ["item_id", "title", "department", "aisle", "brand", "price"]
    return pl.DataFrame(ITEMS, schema=names, orient="row")


@pytest.fixture(scope="session")
def shop_events() -> pl.DataFrame:
    rows = [
        (user, item, f"2024-01-{day:02d} 10:00:00", f"{user}-{day}")
        for user, day, items in BASKETS
        for item in items
    ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "time", "basket_id"], orient="row")


@pytest.fixture(scope="session")
def shop(shop_items: pl.DataFrame, shop_events: pl.DataFrame) -> Dataset:
    """Ten items in four departments, one never bought; five users, one with a single event."""
    columns = {"items": {"categories": ["department", "aisle"]}}
    return import_frames(shop_items, shop_events, columns=columns, name="tiny").dataset


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with research data; the test is skipped where it is missing."""
    chosen = os.environ.get("CROSSAISLE_SHARED")
    folder = Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the research data: set CROSSAISLE_SHARED to the folder above data/")
    return folder / "data"
