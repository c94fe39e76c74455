"""A catalogue as a feed comes back as it was."""

# ruff: noqa: E501  (rows as they come are long)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from crossaisle import cli
from crossaisle.config import ModelConfig, SplitConfig, load_config
from crossaisle.data.exports.known import draft_of
from crossaisle.data.exports.toml import to_toml
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.errors import ConfigError
from crossaisle.pipeline.exports.catalogue import export_catalogue
from crossaisle.pipeline.fit import fit

ITEMS: list[dict[str, Any]] = [
    {
        "id": "m-1", "title": "Mug <b> & \"blue\"", "description": "Warm\tand 蓝色", "link": "https://x.example/m?a=1&b=2",
        "image_link": "https://x.example/m.jpg", "price": "9.50 EUR", "brand": "Field", "item_group_id": "mug",
        "availability": "in_stock", "product_type": ["Home > Cups", "Sale"], "color": "blue",
        "expiration_date": "2099-01-01T00:00:00Z",
    },
    {
        "id": "m-2", "title": "Mug, large", "price": "1299.125 EUR", "item_group_id": "mug", "availability": "out_of_stock",
        "product_type": ["Home > Cups"], "size": "L",
    },
    {
        "id": "p", "title": "Pan", "price": "30.00 EUR", "availability": "preorder", "product_type": ["Pans"],
        "availability_date": "2098-01-01T00:00:00Z",
    },
    {"id": "007", "title": "A thing", "availability": "in_stock", "product_type": ["Cups", "Pans"]},
]  # fmt: skip


def read_in(folder: Path, feed: Path) -> Imported:
    orders = folder / "orders.csv"
    orders.write_text("customer,product,ordered_at\n" + "".join(
        f"{who},{item},2026-09-0{day}T10:00:00Z\n"
        for who in ("ann", "bob", "cyd") for day, item in enumerate(("m-1", "m-2", "p"), 1)
    ))  # fmt: skip
    draft = draft_of("google-merchant", [feed, orders])
    config = folder / f"{feed.name}.toml"
    config.write_text(to_toml(draft, folder), encoding="utf-8")
    return import_dataset(load_config(config).data)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Imported]:
    """A model of a shop that came as a feed."""
    folder = tmp_path_factory.mktemp("feed")
    feed = folder / "first.jsonl"
    feed.write_text("".join(json.dumps(one) + "\n" for one in ITEMS), encoding="utf-8")
    done = read_in(folder, feed)
    plain = ModelConfig(encoder="none", sequence="off", ranker=False)
    fit(done.dataset, split_config=SplitConfig(), model_config=plain).past.save(folder / "model")
    return folder, done


@pytest.mark.parametrize("ending", ["xml", "tsv"])
def test_there_and_back(first: tuple[Path, Imported], tmp_path: Path, ending: str) -> None:
    folder, before = first
    out = tmp_path / f"feed.{ending}"
    done = export_catalogue(folder / "model", out)
    assert (done.items, done.without_price, done.without_link) == (4, 1, 3)
    assert list(tmp_path.iterdir()) == [out]
    after = read_in(tmp_path, out).dataset
    shop = before.dataset
    assert after.item_ids.all == shop.item_ids.all
    assert after.taxonomy.paths == shop.taxonomy.paths
    assert after.currency == shop.currency == "EUR"
    for name in shop.items.columns:
        if name == "attributes":
            texts = [[json.loads(one) if one else {} for one in d.items[name]] for d in (shop, after)]
            assert texts[0] == texts[1]
            assert {"color": "blue"} in texts[1]
        else:
            assert after.items[name].equals(shop.items[name], null_equal=True), name
    assert after.items["price"].drop_nulls().to_list() == [9.5, 1299.125, 30.0]
    assert "expires" in after.items.columns


def test_the_command(
    first: tuple[Path, Imported], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(first[0] / "model")
    out = tmp_path / "new" / "feed.tsv"
    assert cli.run(["export", model, "--catalogue", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 4 products, 1 without a price, 3 without an address\n"
    table = pl.read_csv(out, separator="\t", infer_schema=False, quote_char=None)
    assert table["id"].to_list()[3] == "007"
    assert table["price"].to_list()[0] == "9.50 EUR"
    assert json.loads(table["product_type"].to_list()[0]) == ["Home > Cups", "Sale"]
    assert cli.run(["export", model, "--catalogue", "--out", str(out), "-n", "3"]) == 2
    assert "--catalogue can only be combined with --out and --json" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"a feed's name must end in \.xml or \.tsv"):
        export_catalogue(model, tmp_path / "feed.csv")
