"""Normalizes ids, identically in imports and in the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crossaisle.data.text.control import CONTROL, tidied

if TYPE_CHECKING:
    import polars as pl

_WHOLE = r"^-?[0-9]{1,18}\.0$"
"""How pandas and R write an integer in a column with gaps."""
_WHOLE_NUMBER = re.compile(_WHOLE)
LISTED = r"^(?:\[.*\]|\{.*\})$"
"""A list or an object in JSON cannot be an id."""
SHORTENED = r"^-?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,}$"
"""A long number as shortened by a spreadsheet: its last digits are lost."""
REFUSED = {"list_as_id": LISTED, "shortened_id": SHORTENED}
"""Rule -> pattern of values that cannot be ids."""
UNTIDY = r"^\s|\s$|\s\s|[^\S ]|\.0$|^[\[{]|[eE]\+[0-9]|" + CONTROL
"""Matches every id that may need a repair or be refused; most do not match."""


def tidy_id(text: str) -> str:
    """An id without control characters and superfluous white space; `501.0` becomes `501`."""
    clean = tidied(text)
    return clean[:-2] if _WHOLE_NUMBER.match(clean) else clean


def same_id(text: str) -> str:
    """Normalizes an id from a request or a person as an import would; a blank id is unchanged, and thus
    unknown."""
    return tidy_id(text) or text


def tidy_ids(ids: pl.Expr) -> pl.Expr:
    """`tidy_id` as a polars expression; null if empty."""
    import polars as pl  # slow to import; the command line needs the rest of this module at start

    clean = ids.str.replace_all(CONTROL, "").str.replace_all(r"\s+", " ").str.strip_chars()
    whole = pl.when(clean.str.contains(_WHOLE)).then(clean.str.strip_suffix(".0")).otherwise(clean)
    return pl.when(clean != "").then(whole)
