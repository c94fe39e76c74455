"""The first rows of a table in a draft, as tidy texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.data.exports.files import Draft, Given, Table
from crossaisle.data.ingest.sources import open_files
from crossaisle.data.text.ids import tidy_ids
from crossaisle.errors import DataError
from crossaisle.table_config import FileConfig


def tidied(sample: pl.DataFrame) -> dict[str, pl.Series]:
    clean = sample.select(tidy_ids(pl.col(sample.columns)))
    return dict(zip(clean.columns, clean.get_columns(), strict=True))


def sample_of(draft: Draft, table: Table, columns: Iterable[str]) -> dict[str, pl.Series]:
    """The first rows of a table's first file, with lists exploded; the other steps in its settings are not
    applied."""
    if table not in draft.tables:
        return {}
    try:
        explode = draft.tables[table].get("explode")
        return tidied(
            first_file(draft, table).sample(form_of(draft, table), columns=columns, explode=explode)
        )
    except DataError:
        return {}


def names_of(draft: Draft, table: Table) -> tuple[str, ...]:
    """The columns of a table's first file."""
    if table not in draft.tables:
        return ()
    try:
        return open_files(Path(first_file(draft, table).path), FileConfig(**form_of(draft, table))).names
    except DataError:
        return ()


def first_file(draft: Draft, table: Table) -> Given:
    path = draft.tables[table]["path"]
    return Given(path if isinstance(path, str) else path[0], ())


def form_of(draft: Draft, table: Table) -> dict[str, Any]:
    settings = draft.tables[table]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in _FORM}


_FORM = ("format", "delimiter", "header", "names", "quote", "encoding")
