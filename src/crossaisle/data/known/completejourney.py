"""`completejourney`: names that people read, for product types that are codes of a till."""

from __future__ import annotations

from pathlib import Path

import polars as pl

NAMES = Path(__file__).with_suffix(".csv")
"""`product_type`, the `product_category` that it holds for (none: for all), and a `name`; written by hand."""
CUT = r"\s*\([^()]*$"
"""A bracket that the till's line length has cut."""


def with_names(products: pl.DataFrame) -> pl.DataFrame:
    """The products with a column `name`: that of the file, else their type without a cut bracket."""
    spaced = pl.col("product_type", "product_category").str.replace_all(r"\s+", " ")
    keys = products.select(spaced)
    names = pl.read_csv(NAMES)
    of_all = names.filter(pl.col("product_category").is_null()).drop("product_category")
    own = keys.join(names, on=["product_type", "product_category"], how="left", maintain_order="left")["name"]
    usual = keys.join(of_all, on="product_type", how="left", maintain_order="left")["name"]
    short = keys["product_type"].str.replace(CUT, "")
    return products.with_columns(name=own.fill_null(usual).fill_null(short))
