"""Remarks of a draft on its guesses: examples for columns, formats of times and categories, unused
columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.exports.files import Draft, Table
from crossaisle.data.exports.sampling import names_of, sample_of
from crossaisle.data.exports.words import COLUMNS, compared
from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.values.moments import Clock, how_to_read, looks_like_excel
from crossaisle.data.kinds import Kinds

NAMED = 12
"""Maximum number of unused columns listed in a remark."""
DEEPEST = 5
"""Maximum number of category levels counted in a remark."""


def show(draft: Draft, table: Table, *, guessed: bool) -> None:
    """Adds examples to the columns, and remarks on the formats of times and categories."""
    columns: Mapping[str, Any] = draft.tables[table].get("columns", {})
    names = names_of(draft, table)
    sample = sample_of(draft, table, _named(columns))
    if guessed:
        _tell_unused(draft, table, names)
    for key, name in columns.items():
        if isinstance(name, list):
            rows = [values.drop_nulls() for n in name if (values := sample.get(n)) is not None]
            draft.examples[table, key] = " > ".join(repr(values[0][:40]) for values in rows if len(values))
            if key == "categories" and all(n in sample for n in name):
                levels = pl.DataFrame([sample[n].alias(str(k)) for k, n in enumerate(name)]).drop_nulls("0")
                _tell_depth(draft, levels.select(pl.concat_list(pl.all()).list.drop_nulls()).to_series())
        values = sample.get(name) if isinstance(name, str) else None
        if values is None:
            continue
        seen = values.drop_nulls().unique(maintain_order=True)
        words = ", ".join(repr(v[:40]) for v in seen[:3]) or "empty in the first rows"
        draft.examples[table, key] = words
        if guessed and (others := _rivals(key, name, names, table, columns)):
            draft.examples[table, key] += f" UNSURE: or {', '.join(map(repr, others))}?"
        if key == "time":
            _tell_time(draft, seen)
        if key == "kind":
            _tell_kinds(draft, values)
        if key == "categories":
            _tell_categories(draft, seen)


def _named(columns: Mapping[str, Any]) -> list[str]:
    """All columns of a file that are used."""
    return [n for value in columns.values() for n in ([value] if isinstance(value, str) else value or ())]


def _tell_unused(draft: Draft, table: Table, names: Sequence[str]) -> None:
    path = draft.tables[table]["path"]
    same_file = [one for one in draft.tables.values() if one["path"] == path]
    used = {name for one in same_file for name in _named(one.get("columns", {}))}
    rest = [name for name in names if name not in used]
    if rest and table != "users":
        more = f" and {len(rest) - NAMED:,} more" if len(rest) > NAMED else ""
        hint = "; attributes may name those that describe an item" if table == "items" else ""
        draft.remarks.append(f"not used of {table}: {', '.join(map(repr, rest[:NAMED]))}{more}{hint}")


def _rivals(key: str, name: str, names: Sequence[str], table: Table, columns: Mapping[str, Any]) -> list[str]:
    """Columns of the file whose names also fit this key, and which are not used for anything else."""
    known = COLUMNS[table].get(key, ())
    return [n for n in names if compared(n) in known and n != name and n not in columns.values()]


def _tell_time(draft: Draft, seen: pl.Series) -> None:
    if not len(seen) or "time_unit" in draft.data:
        return
    micros, read = Clock().read(texts(seen))
    if not read.all():
        hint = how_to_read(seen.filter(pl.Series(~read)))
        formats = re.findall(r"'(%[^']*)'", hint)
        if hint.startswith("set time_unit to '%") and "their format" not in hint:
            draft.data["time_unit"] = formats[0]
        if len(formats) != 1 or "their format" in hint:
            draft.remarks.append(f"UNSURE: times such as {seen[0]!r}: {hint}")
    elif looks_like_excel(int(np.min(micros)), int(np.max(micros))):
        draft.data["time_unit"] = "excel"
        draft.remarks.append(f"UNSURE: times such as {seen[0]} were taken as a spreadsheet's day numbers")


def _tell_kinds(draft: Draft, values: pl.Series) -> None:
    """Adds a remark on unknown kinds, which are ignored: better known now than after an import."""
    counts = values.drop_nulls().value_counts(sort=True)
    unknown = [(k, n) for k, n in counts.rows() if not Kinds().meaning(k).known]
    if unknown:
        told = ", ".join(f"{kind!r} ({n:,})" for kind, n in unknown[:NAMED])
        draft.remarks.append(
            f"UNSURE: kinds of events that count for nothing until [data.kinds] says what they mean: {told}"
        )


def _tell_depth(draft: Draft, paths: pl.Series) -> None:
    """How many categories each level makes: one of them is what the shop calls a category.

    `paths`: lists of names, root first.
    """
    if "category_level" in draft.data or not len(paths):
        return
    depth = max(paths.list.len().to_list())
    counts = [
        paths.filter(paths.list.len() > level).list.head(level + 1).list.join(">").n_unique()
        for level in range(min(depth, DEEPEST))
    ]
    if len(counts) > 1:
        told = ", ".join(f"{level} has {n:,}" for level, n in enumerate(counts))
        draft.remarks.append(
            f"UNSURE: which level do you call a category? In the first rows level {told}: set category_level "
            "(0 unless you say otherwise)"
        )


def _tell_level(draft: Draft, seen: pl.Series) -> None:
    """If all paths start with the same names, sets the category level to the first one with several
    values."""
    if "category_roots" in draft.data or "category_level" in draft.data:
        return
    several = draft.data.get("path_separator")
    first = seen.str.split(several).list.first() if several else seen
    paths = first.str.split(draft.data.get("category_separator", ">"))
    level, above = 0, ""
    while 2 * int((paths.list.len() > level + 1).sum()) > len(paths):
        names = paths.list.get(level, null_on_oob=True).drop_nulls().str.strip_chars()
        if names.n_unique() > 1:
            break
        level, above = level + 1, names[0]
    if level:
        draft.data["category_level"] = level
        draft.remarks.append(f"UNSURE: all categories are below {above!r}: the level below is used")


def _tell_categories(draft: Draft, seen: pl.Series) -> None:
    if len(seen) < 2 or "category_separator" in draft.data or seen[0].startswith("["):
        return
    _tell_level(draft, seen)
    counts = {sign: int(seen.str.contains(sign, literal=True).sum()) for sign in (">", "/", "|", "::", ";")}
    sign = max(counts, key=lambda s: counts[s])
    if 2 * counts[sign] <= len(seen):
        return
    if sign == ">":
        _tell_depth(draft, _names(seen, ">"))
        return
    if sign in ("|", ";"):
        draft.data.setdefault("path_separator", sign)
        draft.remarks.append(f"UNSURE: {sign!r} in {seen[0]!r} was taken as the separator between categories")
    else:
        draft.data["category_separator"] = sign
        draft.remarks.append(f"UNSURE: {sign!r} in {seen[0]!r} was taken as the separator between levels")
        _tell_depth(draft, _names(seen, sign))


def _names(seen: pl.Series, separator: str) -> pl.Series:
    """Paths as lists of names, root first."""
    return seen.str.split(separator).list.eval(pl.element().str.strip_chars())
