"""`read_text`: cleans a column of texts, in imports and for items that arrive individually."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.clean.texts.characters import Mojibake
from crossaisle.data.ingest.clean import tidy, without_nulls
from crossaisle.data.ingest.schema import TEXT_LIMITS
from crossaisle.data.text.control import CONTROL
from crossaisle.data.text.markup import plain

Mask = npt.NDArray[np.bool_]
ADDRESSES = ("image", "url")


def read_text(
    name: str, text: pl.Series, mojibake: Mojibake, nulls: Sequence[str]
) -> tuple[pl.Series, dict[str, Mask]]:
    """The texts as stored: String (n,), null if empty or meaning "no value"; and rule -> mask of texts it
    changed.

    URLs are neither repaired nor stripped of markup.
    """
    rules: dict[str, Mask] = {}
    if name not in ADDRESSES:
        text = mojibake.mend(name, text)
    rules["control_characters"] = text.str.contains(CONTROL).fill_null(False).to_numpy()
    if name not in ADDRESSES:
        text, rules["markup"] = plain(text)
    clean = clean_texts(text, nulls)
    if (limit := TEXT_LIMITS.get(name)) is not None:
        long = (clean.str.len_chars() > limit).fill_null(False).to_numpy()
        rules[f"{name}_cut_to_{limit}_characters"] = long
        clean = clean.str.slice(0, limit).str.strip_chars_end() if long.any() else clean
    return clean, rules


def clean_texts(text: pl.Series, nulls: Sequence[str]) -> pl.Series:
    """Tidy texts, null if empty or meaning "no value".

    Full-width spellings of such words count as well: a later step narrows them, and the next import would
    then treat them as missing.
    """
    tidied = pl.DataFrame({"text": text}).select(tidy(pl.col("text")))["text"] if len(text) else text
    none = without_nulls(tidied.str.normalize("NFKC"), nulls).is_null()
    return tidied.set(none, None)
