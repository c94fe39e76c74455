"""`completejourney`: readable names for categories and product types that are till codes."""

from __future__ import annotations

from pathlib import Path

import polars as pl

LEVELS = ("department", "product_category", "product_type")
TYPES = Path(__file__).with_suffix(".csv")
"""CSV, written by hand: `product_type`, the `product_category` it applies to (empty: all), and a `name`."""
CATEGORIES = Path(__file__).with_name("completejourney_categories.csv")
"""CSV: `category`, a department or a product category, and its `name`."""
CUT = r"\s*\([^()]*$"
"""A bracket truncated by the till's line length."""
OF_THE_TILL = {r"^(?:\(\d+\)|\d{5,})\s*": "", r"^[a-z]{1,2} (\d)": "${1}", r"^[a-z]$": ""}
"""What stands before some sizes and is none: `(600) 4 lb`, `974246 pk`, `l 8 oz`, and `l` alone."""


def size() -> pl.Expr:
    """`package_size` as people read it, null where it says nothing: `8 oz` of `L 8 OZ`."""
    said = pl.col("package_size").str.to_lowercase().str.strip_chars()
    for pattern, left in OF_THE_TILL.items():
        said = said.str.replace(pattern, left)
    return pl.when(said != "").then(said)


def readable(products: pl.DataFrame) -> pl.DataFrame:
    """The products with readable `LEVELS`; values without a name in the files are kept.

    If a kept type ends in a truncated bracket, that is removed.
    """
    levels = products.select(pl.col(LEVELS).str.to_titlecase().str.replace_all(r"\s+", " "))
    types = pl.read_csv(TYPES)
    of_all = types.filter(pl.col("product_category").is_null()).drop("product_category")
    keys = ["product_type", "product_category"]
    own = levels.join(types, on=keys, how="left", maintain_order="left")["name"]
    usual = levels.join(of_all, on="product_type", how="left", maintain_order="left")["name"]
    short = levels["product_type"].str.replace(CUT, "")
    names = dict(pl.read_csv(CATEGORIES).iter_rows())
    above = levels.select(pl.col(LEVELS[:2]).replace(names))
    return products.with_columns(*above, product_type=own.fill_null(usual).fill_null(short))
