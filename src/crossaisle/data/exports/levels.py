"""Orders several category columns into the levels of one path, coarsest first, and checks that they nest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

_WORDS = """sector division department dept section aisle shelf bay category categories subcategory
    subsubcategory categoryname subcategoryname productcategory maincategory mastercategory productgroup
    productgroupname productfamily family subfamily class subclass segment commodity subcommodity producttype
    articletype
    subtype genre genres productdepartment abteilung bereich warengruppe warenuntergruppe hauptwarengruppe
    obergruppe untergruppe hauptkategorie kategorie unterkategorie warengruppenname"""
LEVELS = frozenset(_WORDS.split())
"""Common names of category columns, as letters and digits only."""
_NUMBERED = re.compile(r"(?:item|product)?(?:category|categorylevel|level|kategorie)\d{1,2}(?:name)?")
NESTED = 0.95
"""Minimum share of rows whose coarse category is the most frequent one for their fine category."""
OWN = 0.9
"""Distinct values per row above which a column identifies single items."""
FEWEST = 20
"""Minimum number of rows for that judgement."""


@dataclass(frozen=True)
class Levels:
    """The result for a set of category columns."""

    path: tuple[str, ...]
    """Columns that nest, coarsest first."""
    values: tuple[int, ...]
    """Number of distinct values of each."""
    left: dict[str, str]
    """The other columns, each with the reason why it is not a level."""


def is_level(plain: str) -> bool:
    """Whether a column with this name (letters and digits only) holds categories."""
    return plain in LEVELS or _NUMBERED.fullmatch(plain) is not None


def nested_levels(table: pl.DataFrame, prefer: str | None = None) -> Levels:
    """The longest chain of columns in which each nests in the one before; among equally long ones, one with
    `prefer`.

    `table`: category columns as text, null where missing.
    """
    count = {name: table[name].drop_nulls().n_unique() for name in table.columns}
    filled = {name: len(table) - table[name].null_count() for name in table.columns}
    left = {name: "has a single value" for name in count if count[name] <= 1}
    left |= {
        name: "has a different value in nearly every row"
        for name in count
        if filled[name] >= FEWEST and count[name] > OWN * filled[name]
    }
    order = sorted((n for n in count if n not in left), key=lambda n: (count[n], table.columns.index(n)))
    best: dict[str, tuple[str, ...]] = {}
    for at, name in enumerate(order):
        above = [best[o] for o in order[:at] if count[o] < count[name] and _lies_within(table, name, o)]
        best[name] = (*max(above, key=len, default=()), name)
    chains = sorted(best.values(), key=lambda chain: (-len(chain), prefer not in chain))
    path: Sequence[str] = chains[0] if chains else ()
    for name in order:
        if name not in path:
            same = next((o for o in path if count[o] == count[name] and _lies_within(table, name, o)), None)
            left[name] = f"repeats {same!r}" if same else f"does not nest with {' > '.join(path)}"
    return Levels(tuple(path), tuple(count[name] for name in path), left)


def _lies_within(table: pl.DataFrame, fine: str, coarse: str) -> bool:
    """Whether rows of one fine category almost never lie in different coarse ones."""
    pairs = table.select(fine, coarse).drop_nulls().group_by(fine, coarse).len()
    usual = int(pairs.group_by(fine).agg(pl.col("len").max())["len"].sum())
    return len(pairs) > 0 and usual >= NESTED * int(pairs["len"].sum())
