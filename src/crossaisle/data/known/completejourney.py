"""`completejourney`: names that people read, for categories and product types that are codes of a till."""

from __future__ import annotations

from pathlib import Path

import polars as pl

LEVELS = ("department", "product_category", "product_type")
TYPES = Path(__file__).with_suffix(".csv")
"""`product_type`, the `product_category` that it holds for (none: for all), and a `name`; written by hand."""
CATEGORIES = Path(__file__).with_name("completejourney_categories.csv")
"""`category`, a department or a product category, and its `name`."""
CUT = r"\s*\([^()]*$"
"""A bracket that the till's line length has cut."""


def readable(products: pl.DataFrame) -> pl.DataFrame:
    """The products with `LEVELS` as people read them; what has no name in the files keeps its own.

    Of a type that has none, a cut bracket goes.
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
