"""Ids as they come -> ids as they are kept: the same at an import and in the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crossaisle.data.text.control import CONTROL, tidied

if TYPE_CHECKING:
    import polars as pl

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


def same_id(text: str) -> str:
    """An id that somebody typed or sent as an import would keep it; one of nothing but blanks stays as it is,
    and is unknown.
    """
    return tidy_id(text) or text


def tidy_ids(ids: pl.Expr) -> pl.Expr:
    """`tidy_id` for a column; null where nothing is left."""
    import polars as pl  # the command line needs the rest of this file at once

    clean = ids.str.replace_all(CONTROL, "").str.replace_all(r"\s+", " ").str.strip_chars()
    whole = pl.when(clean.str.contains(_WHOLE)).then(clean.str.strip_suffix(".0")).otherwise(clean)
    return pl.when(clean != "").then(whole)
