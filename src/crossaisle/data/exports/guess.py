"""Guesses what files are: which table, which columns, how times and categories are written.

Every guess is a sentence or an example in the file of settings, for a person to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.exports.files import CATALOGUE, Draft, Files, Given, Table
from crossaisle.data.exports.words import BEGINNINGS, COLUMNS
from crossaisle.data.ids import tidy_ids
from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.moments import Clock, how_to_read, looks_like_excel
from crossaisle.data.ingest.schema import looks_like_data
from crossaisle.data.ingest.sources import open_files
from crossaisle.errors import DataError
from crossaisle.table_config import FileConfig

COLUMNS_COMPARED = 20
"""Columns of a table in which the ids of the events are looked for over many rows."""


def fill_in(draft: Draft, files: Files) -> None:
    """Adds the tables that are missing, as far as files are left, and an example beside each column."""
    known = set(draft.tables)
    if "events" not in draft.tables:
        _add_events(draft, files, _found(files.left, "events"))
    if "items" not in draft.tables:
        _add_table(draft, files, "items")
    if "items" not in draft.tables and "events" not in known:
        _add_items_of_events(draft)
    if "users" not in draft.tables and "events" in draft.tables:
        _add_table(draft, files, "users")
    for table in list(draft.tables):
        _show(draft, table, guessed=table not in known)
    if "events" not in draft.tables:
        draft.remarks.append(
            "UNSURE: no file has an item and a user (or a basket) in each row: give [data.events] a path, or "
            "start without events"
        )
    draft.remarks += [f"UNSURE: {file.path} is not used ({', '.join(file.names[:6])})" for file in files.left]
    draft.remarks += [f"UNSURE: not read: {reason}" for reason in files.unread]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9äöüß]", "", name.split(":")[0].lower())


def _match(names: Sequence[str], table: Table) -> dict[str, str]:
    """Canonical column -> the file's, by name; each of the file's columns once."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    found: dict[str, str] = {}
    for column, known in COLUMNS[table].items():
        for word in known:
            if word in plain and plain[word] not in found.values():
                found[column] = plain[word]
                break
        for begin in BEGINNINGS.get(column, ()) if column not in found else ():
            if fits := [n for p, n in plain.items() if p.startswith(begin) and n not in found.values()]:
                found[column] = fits[0]
                break
    return found


def _found(files: Sequence[Given], table: Table) -> list[tuple[Given, dict[str, str]]]:
    """Files that may be this table, the one with most columns first."""
    out = []
    for file in files:
        columns = _match(file.names, table)
        nobody = table == "events" and not {"user_id", "basket_id"} & set(columns)
        if nobody and "id" in file.names and _repeats(file, "id"):
            columns["basket_id"] = "id"
        whole = {
            "events": "item_id" in columns and bool({"user_id", "basket_id"} & set(columns)),
            "items": "item_id" in columns and bool({"title", "price", "categories", "brand"} & set(columns)),
            "users": "user_id" in columns and not _match(file.names, "events").get("item_id"),
        }
        if whole[table]:
            out.append((file, columns))
    return sorted(out, key=lambda pair: -len(pair[1]))


def _repeats(file: Given, column: str) -> bool:
    values = file.sample(columns=[column]).get_column(column, default=pl.Series(dtype=pl.String))
    return bool(values.drop_nulls().is_duplicated().any())


def _add_events(draft: Draft, files: Files, found: list[tuple[Given, dict[str, str]]]) -> None:
    for file in files.left:
        if looks_like_data(file.names):
            draft.remarks.append(
                f"UNSURE: {file.path} seems to have no header ({', '.join(file.names[:5])}): "
                "set header = false and names"
            )
    if not found:
        return
    best, columns = max(found, key=lambda pair: ("time" in pair[1], len(pair[1])))
    alike = [file for file, _ in found if file.names == best.names]
    files.left = [file for file in files.left if file not in alike]
    draft.table("events", alike, columns=columns)
    if "user_id" not in columns:
        draft.remarks.append("UNSURE: no column names the user: each basket is then a history of its own")
    if "basket_id" in columns and "user_id" in columns:
        draft.tables["events"]["guests"] = "baskets"


def _add_table(draft: Draft, files: Files, table: Table) -> None:
    found = _found(files.left, table)
    if not found:
        return
    file, columns = found[0]
    files.left.remove(file)
    known = _ids(draft, "events", "item_id" if table == "items" else "user_id")
    key = "item_id" if table == "items" else "user_id"
    if known:
        shares = _shares(file, known, columns[key])
        best = max(shares, key=lambda name: (shares[name], name == columns[key]), default=columns[key])
        if shares.get(best, 0) > shares.get(columns[key], 0):
            columns = {k: v for k, v in columns.items() if v != best} | {key: best}
        if shares.get(columns[key], 0) < 0.5:
            draft.remarks.append(
                f"UNSURE: only {shares.get(columns[key], 0):.0%} of the first events' {key} are in column "
                f"{columns[key]!r} of {file.path}"
            )
    ordered = {name: columns[name] for name in COLUMNS[table] if name in columns}
    draft.table(table, file, columns=ordered)


def _add_items_of_events(draft: Draft) -> None:
    """Items out of the lines of orders, where these have titles or prices."""
    events = draft.tables.get("events", {})
    paths = events.get("path", ())
    found = _match(_names(draft, "events"), "items")
    columns = found | {"item_id": events.get("columns", {}).get("item_id")}
    columns = {k: v for k, v in columns.items() if k in ("item_id", "title", "categories", "brand", "price")}
    if not {"title", "categories"} & set(columns) and "description" in found:
        columns["title"] = found["description"]
    if {"title", "categories"} & set(columns):
        draft.tables["items"] = {"path": paths, "columns": columns}
        draft.remarks.append("UNSURE: items are taken from the events; each one's first row counts")


def _ids(draft: Draft, table: Table, column: str) -> set[str]:
    settings = draft.tables.get(table, {})
    name = settings.get("columns", {}).get(column)
    if not isinstance(name, str):
        return set()
    values = _sample(draft, table, [name]).get(name)
    return set() if values is None else set(values.drop_nulls())


def _shares(file: Given, known: set[str], named: str) -> dict[str, float]:
    """Share of known ids that the first rows of a column hold: of the one that is named so, and of those
    that hold distinct values, the likeliest `COLUMNS_COMPARED`.
    """
    hits = {}
    for name, values in _tidy(file.sample()).items():
        there = set(values.to_list()) - {None}
        if there and len(there) > (len(values) - values.null_count()) / 4:
            hits[name] = len(known & there)
    likely = sorted(hits, key=lambda name: (name != named, -hits[name]))[:COLUMNS_COMPARED]
    whole = _tidy(file.sample(rows=CATALOGUE, columns=likely))
    return {name: len(known & set(values.drop_nulls())) / len(known) for name, values in whole.items()}


def _tidy(sample: pl.DataFrame) -> dict[str, pl.Series]:
    clean = sample.select(tidy_ids(pl.col(sample.columns)))
    return dict(zip(clean.columns, clean.get_columns(), strict=True))


def _sample(draft: Draft, table: Table, columns: Iterable[str]) -> dict[str, pl.Series]:
    """The first rows of a table's first file; without the steps that its settings ask for."""
    if table not in draft.tables:
        return {}
    try:
        return _tidy(_first_file(draft, table).sample(_form(draft, table), columns=columns))
    except DataError:
        return {}


def _names(draft: Draft, table: Table) -> tuple[str, ...]:
    """The columns of a table's first file."""
    if table not in draft.tables:
        return ()
    try:
        return open_files(Path(_first_file(draft, table).path), FileConfig(**_form(draft, table))).names
    except DataError:
        return ()


def _first_file(draft: Draft, table: Table) -> Given:
    path = draft.tables[table]["path"]
    return Given(path if isinstance(path, str) else path[0], ())


def _form(draft: Draft, table: Table) -> dict[str, Any]:
    settings = draft.tables[table]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in _FORM}


_FORM = ("format", "delimiter", "header", "names", "quote", "encoding")


def _show(draft: Draft, table: Table, *, guessed: bool) -> None:
    """Examples beside the columns, and what the values tell about times and categories."""
    columns: Mapping[str, Any] = draft.tables[table].get("columns", {})
    names = _names(draft, table)
    sample = _sample(draft, table, [name for name in columns.values() if isinstance(name, str)])
    for key, name in columns.items():
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
        if key == "categories":
            _tell_categories(draft, seen)


def _rivals(key: str, name: str, names: Sequence[str], table: Table, columns: Mapping[str, Any]) -> list[str]:
    """Other columns of the file that have a name for the same, and are not used for anything else."""
    known = COLUMNS[table].get(key, ())
    return [n for n in names if _plain(n) in known and n != name and n not in columns.values()]


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
        draft.remarks.append(f"UNSURE: times such as {seen[0]} were taken for a spreadsheet's days")


def _tell_level(draft: Draft, seen: pl.Series) -> None:
    """Where all paths begin with one name, the next level is what the shop calls a category."""
    first = seen.str.split(draft.data.get("category_separator", ">"))
    alike = first.list.first().str.strip_chars().n_unique() == 1 and int(
        (first.list.len() > 1).sum()
    ) * 2 > len(first)
    if alike and "category_roots" not in draft.data and "category_level" not in draft.data:
        draft.data["category_level"] = 1
        draft.remarks.append(
            f"UNSURE: all categories are below {first[0][0].strip()!r}: the level below counts"
        )


def _tell_categories(draft: Draft, seen: pl.Series) -> None:
    if len(seen) < 2 or "category_separator" in draft.data or seen[0].startswith("["):
        return
    _tell_level(draft, seen)
    counts = {sign: int(seen.str.contains(sign, literal=True).sum()) for sign in (">", "/", "|", "::", ";")}
    sign = max(counts, key=lambda s: counts[s])
    if 2 * counts[sign] <= len(seen) or sign == ">":
        return
    if sign in ("|", ";"):
        draft.data.setdefault("path_separator", sign)
        draft.remarks.append(
            f"UNSURE: {sign!r} in {seen[0]!r} was taken for what stands between several categories"
        )
    else:
        draft.data["category_separator"] = sign
        draft.remarks.append(f"UNSURE: {sign!r} in {seen[0]!r} was taken for what stands between levels")
