"""Ids as they come -> ids as they are kept: the same at an import and in the service."""

from __future__ import annotations

import re

import polars as pl

from crossaisle.data.control import CONTROL, tidied

_WHOLE = r"^-?[0-9]{1,18}\.0$"
"""What pandas and R write for a whole number in a column with gaps."""
_WHOLE_NUMBER = re.compile(_WHOLE)
LISTED = r"^(?:\[.*\]|\{.*\})$"
"""A list or an object in JSON is no id."""
SHORTENED = r"^-?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,}$"
"""A long number as a spreadsheet shows and saves it: its last digits are lost."""
REFUSED = {"list_as_id": LISTED, "shortened_id": SHORTENED}
"""Rule -> what an id must not look like."""
UNTIDY = r"^\s|\s$|\s\s|[^\S ]|\.0$|^[\[{]|[eE]\+[0-9]|" + CONTROL
"""What may need a repair or be refused; most ids do not."""


def tidy_id(text: str) -> str:
    """An id without control characters and needless blanks; `501.0` is `501`."""
    clean = tidied(text)
    return clean[:-2] if _WHOLE_NUMBER.match(clean) else clean


def tidy_ids(ids: pl.Expr) -> pl.Expr:
    """`tidy_id` for a column; null where nothing is left."""
    clean = ids.str.replace_all(CONTROL, "").str.replace_all(r"\s+", " ").str.strip_chars()
    whole = pl.when(clean.str.contains(_WHOLE)).then(clean.str.strip_suffix(".0")).otherwise(clean)
    return pl.when(clean != "").then(whole)
