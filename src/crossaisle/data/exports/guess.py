"""Guesses the role of each file: which table, which columns, how times and categories are written.

Every guess appears as a sentence or an example in the settings file, for a person to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from crossaisle.data.exports.files import CATALOGUE, Draft, Files, Given, Table
from crossaisle.data.exports.levels import is_level, nested_levels
from crossaisle.data.exports.rows import guests_of, time_column
from crossaisle.data.exports.sampling import first_file, form_of, names_of, sample_of, tidied
from crossaisle.data.exports.telling import show
from crossaisle.data.exports.words import BEGINNINGS, COLUMNS, compared
from crossaisle.data.ingest.schema import looks_like_data

COLUMNS_COMPARED = 20
"""Number of columns per table that are searched for the ids of the events over many rows."""


def fill_in(draft: Draft, files: Files) -> None:
    """Adds missing tables as far as files are left, and examples next to the columns."""
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
        show(draft, table, guessed=table not in known)
    if "events" not in draft.tables:
        draft.remarks.append(
            "UNSURE: no file has an item and a user (or a basket) in each row: give [data.events] a path, or "
            "start without events"
        )
    draft.remarks += [f"UNSURE: {file.path} is not used ({', '.join(file.names[:6])})" for file in files.left]
    draft.remarks += [f"UNSURE: not read: {reason}" for reason in files.unread]


def _match(names: Sequence[str], table: Table) -> dict[str, str]:
    """Canonical column -> the file's column, matched by name; each of the file's columns is used once."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(compared(name), name)
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
    """Files that may be this table, those with the most matching columns first."""
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
    for file, columns in found:
        if "time" not in columns and (name := time_column(file, columns)):
            columns["time"] = name
            draft.remarks.append(
                f"UNSURE: column {name!r} of {file.path} is taken for the time by its values"
            )
    best, columns = max(found, key=lambda pair: ("time" in pair[1], len(pair[1])))
    if "time" not in columns:
        draft.remarks.append(
            f"UNSURE: no column of {best.path} tells when: without time there is no split by date, and old "
            "events count as much as new ones"
        )
    if "user_id" in columns:
        basket, remarks = guests_of(best, columns)
        draft.remarks += remarks
        columns |= {"basket_id": basket} if basket else {}
    columns = {name: columns[name] for name in COLUMNS["events"] if name in columns}
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
    if table == "items":
        columns |= _levels(draft, file, columns, {})
    ordered = {name: columns[name] for name in COLUMNS[table] if name in columns}
    draft.table(table, file, columns=ordered)


def _levels(draft: Draft, file: Given, columns: Mapping[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Sets `categories` to several columns if a file has columns that nest; remarks on those not used."""
    chosen = columns.get("categories")
    taken = {v for k, v in columns.items() if k != "categories"}
    rivals = [n for n in file.names if n not in taken and (is_level(compared(n)) or n == chosen)]
    if len(rivals) < 2:
        return {}
    sample = file.sample(form, rows=CATALOGUE, columns=rivals)
    if chosen in sample.columns and bool(sample[chosen].str.contains(r"[>\[]").fill_null(False).any()):
        others = ", ".join(repr(name) for name in rivals if name != chosen)
        draft.remarks.append(
            f"UNSURE: {chosen!r} holds whole paths, so these columns are not used as levels: {others}"
        )
        return {}
    found = nested_levels(sample, chosen)
    for name, why in found.left.items():
        draft.remarks.append(f"UNSURE: column {name!r} of {file.path} {why}: no level of the categories")
    if len(found.path) > 1:
        told = " > ".join(f"{n} ({k:,})" for n, k in zip(found.path, found.values, strict=True))
        draft.remarks.append(f"UNSURE: levels of the categories, by how many values they have: {told}")
    return {"categories": list(found.path) if len(found.path) > 1 else found.path[0]} if found.path else {}


def _add_items_of_events(draft: Draft) -> None:
    """Takes items from order lines, if these contain titles or prices."""
    events = draft.tables.get("events", {})
    paths = events.get("path", ())
    names = names_of(draft, "events")
    found = _match(names, "items")
    columns = found | {"item_id": events.get("columns", {}).get("item_id")}
    columns = {k: v for k, v in columns.items() if k in ("item_id", "title", "categories", "brand", "price")}
    if not {"title", "categories"} & set(columns) and "description" in found:
        columns["title"] = found["description"]
    if "categories" in columns:
        first = replace(first_file(draft, "events"), names=names)
        columns |= _levels(draft, first, columns | events.get("columns", {}), form_of(draft, "events"))
    if {"title", "categories"} & set(columns):
        draft.tables["items"] = {"path": paths, "columns": columns}
        draft.remarks.append("UNSURE: items are taken from the events; each one's first row counts")


def _ids(draft: Draft, table: Table, column: str) -> set[str]:
    settings = draft.tables.get(table, {})
    name = settings.get("columns", {}).get(column)
    if not isinstance(name, str):
        return set()
    values = sample_of(draft, table, [name]).get(name)
    return set() if values is None else set(values.drop_nulls())


def _shares(file: Given, known: set[str], named: str) -> dict[str, float]:
    """Column -> share of the known ids in its first rows, for the column `named` and up to `COLUMNS_COMPARED`
    likely ones with distinct values."""
    hits = {}
    for name, values in tidied(file.sample()).items():
        there = set(values.to_list()) - {None}
        if there and len(there) > (len(values) - values.null_count()) / 4:
            hits[name] = len(known & there)
    likely = sorted(hits, key=lambda name: (name != named, -hits[name]))[:COLUMNS_COMPARED]
    whole = tidied(file.sample(rows=CATALOGUE, columns=likely))
    return {name: len(known & set(values.drop_nulls())) / len(known) for name, values in whole.items()}
