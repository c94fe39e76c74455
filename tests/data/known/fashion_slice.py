"""Sixteen made-up products in the form of the fashion catalogue, each with a picture of one colour."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

Image = pytest.importorskip("PIL.Image", reason="needs  pip install 'crossaisle[image]'")

PRODUCTS = (  # id, gender, master category, subcategory, type, colour, title
    (1, "Men", "Apparel", "Topwear", "Shirts", "Blue", "Arden Men Blue Shirt"),
    (2, "Men", "Apparel", "Topwear", "Shirts", "White", "Arden Men White Shirt"),
    (3, "Men", "Apparel", "Topwear", "Tshirts", "Red", "Harbour Men Red T-shirt"),
    (4, "Men", "Apparel", "Bottomwear", "Trousers", "Black", "Arden Men Black Trousers"),
    (5, "Men", "Apparel", "Bottomwear", "Jeans", "Blue", "Harbour Men Blue Jeans"),
    (6, "Men", "Footwear", "Shoes", "Formal Shoes", "Black", "Old Mill Men's Black Formal Shoes"),
    (7, "Men", "Accessories", "Watches", "Watches", "Steel", "Arden Steel Watch"),
    (8, "Men", "Apparel", "Innerwear", "Briefs", "Grey", "Harbour Men Grey Briefs"),
    (9, "Men", "Accessories", "Socks", "Socks", "Black", "Harbour Men Black Socks"),
    (10, "Women", "Apparel", "Topwear", "Shirts", "Blue", "Arden Women Blue Shirt"),
    (11, "Women", "Apparel", "Topwear", "Kurtas", "Green", "Old Mill Women Green Kurta"),
    (12, "Women", "Apparel", "Bottomwear", "Leggings", "Green", "Old Mill Women Green Leggings"),
    (13, "Women", "Accessories", "Bags", "Handbags", "Brown", "Harbour Women Brown Handbag"),
    (14, "Women", "Footwear", "Shoes", "Heels", "Red", "Lone Women Red Heels"),
    (15, "Unisex", "Accessories", "Watches", "Watches", "Black", None),
    (16, "Men", "Free Items", "Free Gifts", "Free Gifts", "Black", "Arden Men Black Watch"),
)
NAMES = ("id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "productDisplayName")


def jpeg(colour: tuple[int, int, int]) -> bytes:
    """A picture of 12 x 16 pixels."""
    out = io.BytesIO()
    Image.new("RGB", (12, 16), colour).save(out, "JPEG")
    return out.getvalue()


def fashion_slice(root: Path, *, as_struct: bool = False) -> Path:
    """Writes them below `root`; returns it. `as_struct`: pictures as the hub of data sets keeps them."""
    pictures = [jpeg((12 * one[0], 80, 160)) for one in PRODUCTS[:-2]] + [None, None]
    table = pl.DataFrame(PRODUCTS, schema=list(NAMES), orient="row").with_columns(
        pl.lit("Summer").alias("season"),
        pl.lit(2012.0).alias("year"),
        pl.lit("Casual").alias("usage"),
        pl.Series("image", pictures, pl.Binary),
    )
    if as_struct:
        table = table.with_columns(
            pl.struct(pl.col("image").alias("bytes"), pl.lit("a.jpg").alias("path")).alias("image")
        )
    (root / "fashion").mkdir(parents=True)
    table.write_parquet(root / "fashion" / "products.parquet")
    return root
