"""Parses stock status: the words and numbers in common feeds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Mask = npt.NDArray[np.bool_]

YES = (
    *("true", "t", "yes", "y", "ja", "j", "oui", "si", "sí", "sì", "on"),
    *("instock", "available", "limitedavailability", "limitedstock", "lowstock", "onlineonly", "instoreonly"),
    *("auflager", "lagernd", "lieferbar", "verfügbar"),
    *("preorder", "presale", "backorder", "onbackorder", "availablefororder", "madetoorder"),
)
"""Anything that can be ordered counts as in stock, even if it is delivered later (preorder, backorder)."""
NO = (
    *("false", "f", "no", "n", "nein", "non", "off"),
    *(
        "outofstock",
        "soldout",
        "notinstock",
        "unavailable",
        "notavailable",
        "discontinued",
        "oos",
        "reserved",
    ),
    *("nichtauflager", "nichtlieferbar", "nichtverfügbar", "ausverkauft", "vergriffen"),
)


def read_stock(values: pl.Series) -> tuple[pl.Series, Mask]:
    """Boolean, True if nothing is said; and a mask of the words that could not be parsed.

    Case, spaces, `_` and `-` between words are ignored, and so is a schema.org URL before them. Numbers are
    quantities: above 0 is in stock.
    """
    frame = values.alias("given").to_frame().with_columns(number=_quantity(pl.col("given")))
    word = (
        pl.col("given")
        .str.to_lowercase()
        .str.replace(r"^(https?://)?schema\.org/", "")
        .str.replace_all(r"[\s_\-]", "")
    )
    known = frame.select(
        pl.when(pl.col("number").is_not_null())
        .then(pl.col("number") > 0)
        .when(word.is_in(YES))
        .then(True)
        .when(word.is_in(NO))
        .then(False)
        .alias("flag")
    )["flag"]
    unread = known.is_null() & values.is_not_null()
    return known.fill_null(True), unread.to_numpy()


def _quantity(text: pl.Expr) -> pl.Expr:
    """A number, also `10+` and `>10`, with any decimal separator: only its sign matters here."""
    plain = text.str.strip_chars().str.extract(r"^(?:> ?)?([+-]?\d[\d.,]*)\+?$", 1)
    positive = plain.str.contains("[1-9]") & ~plain.str.starts_with("-")
    return pl.when(plain.is_not_null()).then(positive.cast(pl.Int8))
