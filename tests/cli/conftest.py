"""A shop in files, small enough to fit in a second, with categories that go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

AISLES = {"milk": "Dairy", "bread": "Bakery", "spade": "Garden", "paint": "Hardware"}
PAIRS = (("milk", "bread"), ("spade", "paint"))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shop.toml` with `items.csv` and `orders.csv` beside it; one order names an item that is not there."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    items = [
        f"{name}{i},fresh {name} number {i},{aisle},{i + 1}"
        for name, aisle in AISLES.items()
        for i in range(6)
    ]
    (folder / "items.csv").write_text("\n".join(["sku,name,aisle,price", *items]) + "\n")
    orders = ["customer,sku,ordered_at", "c0,ghost,2024-01-01"]
    for customer in range(60):
        kinds = PAIRS[customer % 2]
        for day in range(1, 21):
            item = f"{kinds[rng.integers(2)]}{rng.integers(6)}"
            orders.append(f"c{customer},{item},2024-01-{day:02d}")
    (folder / "orders.csv").write_text("\n".join(orders) + "\n")
    (folder / "shop.toml").write_text(
        '[data]\nname = "corner shop"\n'
        '[data.items]\npath = "items.csv"\n'
        'columns = { item_id = "sku", title = "name", categories = ["aisle"] }\n'
        '[data.events]\npath = "orders.csv"\n'
        'columns = { item_id = "sku", user_id = "customer", time = "ordered_at" }\n'
        '[model]\nencoder = "none"\n[evaluate]\nbootstrap = 50\n'
    )
    return folder / "shop.toml"
