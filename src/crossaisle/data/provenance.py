"""Tables that record their origin: parquet files with the settings behind them in the file metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.errors import DataError

KEY = "crossaisle"
"""The key in a parquet file's metadata under which the facts are stored as JSON."""


def write_table(frame: pl.DataFrame, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a parquet file with `facts` in its metadata; `OSError` if the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        frame.write_parquet(path, metadata={KEY: json.dumps(facts, sort_keys=True, ensure_ascii=False)})
    except pl.exceptions.PolarsError as error:
        raise OSError(f"{path}: {str(error).splitlines()[0]}") from error


def facts_of(path: str | Path) -> dict[str, Any]:
    """Reads the facts that `write_table` stored in a file; `DataError` if there are none."""
    try:
        found = pl.read_parquet_metadata(path).get(KEY)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: is not a parquet file ({str(error).splitlines()[0]})") from None
    if found is None:
        raise DataError(f"{path}: carries no provenance; it was not written by crossaisle")
    facts: dict[str, Any] = json.loads(found)
    return facts
