"""A model's catalogue as a product feed in Google's format, which shops, ads and `import --from` read."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.feeds import ATTRIBUTES
from crossaisle.data.windows import END, START, STOCKED
from crossaisle.errors import ConfigError
from crossaisle.recommend.recommender import Recommender

FEEDS = (".xml", ".tsv")
NAMESPACE = "http://base.google.com/ns/1.0"
FIELDS = (
    *("id", "title", "description", "link", "image_link", "availability", "availability_date"),
    *("expiration_date", "price", "brand", "item_group_id", "product_type"),
    *ATTRIBUTES,
)
"""Columns of the TSV, in order; a field that a product has several times is a JSON list there."""
PLAIN: AttributesImpl[str] = AttributesImpl({})
Row = dict[str, list[str]]


@dataclass(frozen=True)
class Feed:
    """What was written."""

    path: Path
    items: int
    without_price: int
    without_link: int
    """Google shows products with a price and an address only; other readers may take the rest."""


def export_catalogue(model: str | Path, out: str | Path) -> Feed:
    """Writes the catalogue of a saved model into `out`, `.xml` (RSS) or `.tsv`; it appears when it is whole.

    `ConfigError` for another ending.
    """
    path = Path(out)
    if path.suffix not in FEEDS:
        raise ConfigError(f"{path}: a feed's name must end in {' or '.join(FEEDS)}")
    dataset = Recommender.load(model).dataset
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            (_write_xml if path.suffix == ".xml" else _write_tsv)(file, dataset)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    items = dataset.items
    linked = items["url"].fill_null("").str.starts_with("http").sum()
    return Feed(path, len(items), items["price"].null_count(), len(items) - int(linked))


def _write_xml(file: TextIOWrapper, dataset: Dataset) -> None:
    feed = XMLGenerator(file, "utf-8", short_empty_elements=True)
    feed.startDocument()
    feed.startElement("rss", AttributesImpl({"version": "2.0", "xmlns:g": NAMESPACE}))
    feed.startElement("channel", PLAIN)
    _element(feed, "title", dataset.name)
    _element(feed, "description", f"The catalogue of {dataset.name}")
    for row in _rows(dataset):
        feed.characters("\n")
        feed.startElement("item", PLAIN)
        for name, values in row.items():
            for value in values:
                _element(feed, f"g:{name}", value)
        feed.endElement("item")
    feed.endElement("channel")
    feed.endElement("rss")
    feed.endDocument()


def _element(feed: XMLGenerator, name: str, text: str) -> None:
    feed.startElement(name, PLAIN)
    feed.characters(text)
    feed.endElement(name)


def _write_tsv(file: TextIOWrapper, dataset: Dataset) -> None:
    # Without quotes, as Google has it: no field holds a tab or a line break.
    file.write("\t".join(FIELDS) + "\n")
    for row in _rows(dataset):
        fields = (row.get(name, []) for name in FIELDS)
        cells = ("".join(f) if len(f) < 2 else json.dumps(f, ensure_ascii=False) for f in fields)
        file.write("\t".join(re.sub(r"\s+", " ", cell) for cell in cells) + "\n")


def _rows(dataset: Dataset) -> Iterator[Row]:
    now = time.time()
    for at, item in enumerate(dataset.items.iter_rows(named=True)):
        currency = item.get("currency") or dataset.currency
        stocked = item.get(STOCKED)
        start = item.get(START)
        open_ = item["in_stock"] if stocked is None else stocked
        later = start is not None and start > now
        row: dict[str, Any] = {
            "id": item["item_id"],
            "title": item["title"],
            "description": item["description"],
            "link": item["url"],
            "image_link": item["image"],
            "availability": ("preorder" if later else "in_stock") if open_ else "out_of_stock",
            "availability_date": _moment(start),
            "expiration_date": _moment(item.get(END)),
            "price": _price(item["price"], currency),
            "brand": item["brand"],
            "item_group_id": item.get("group"),
        }
        filled = {name: [text] for name, text in row.items() if text}
        if paths := [" > ".join(path) for path in dataset.taxonomy.paths[at]]:
            filled["product_type"] = paths
        yield filled | _attributes(item["attributes"])


def _attributes(text: str) -> Row:
    """Those that the format has names for."""
    given = json.loads(text) if text else {}
    return {name: [str(given[name])] for name in ATTRIBUTES if given.get(name) not in (None, "")}


def _price(price: float | None, currency: str) -> str:
    if price is None:
        return ""
    exact = f"{price:.4f}"
    amount = f"{price:.2f}" if exact.endswith("00") else exact
    return f"{amount} {currency}" if re.fullmatch("[A-Z]{3}", currency) else amount


def _moment(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
