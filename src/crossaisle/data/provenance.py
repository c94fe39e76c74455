"""Tables that say where they are from: parquet files with their settings in the file's own metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.errors import DataError

KEY = "crossaisle"
"""The entry of a parquet file's metadata that holds the facts, as JSON."""


def write_table(frame: pl.DataFrame, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a parquet file that carries `facts`; `OSError` where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        frame.write_parquet(path, metadata={KEY: json.dumps(facts, sort_keys=True, ensure_ascii=False)})
    except pl.exceptions.PolarsError as error:
        raise OSError(f"{path}: {str(error).splitlines()[0]}") from error


def facts_of(path: str | Path) -> dict[str, Any]:
    """What `write_table` wrote into a file; `DataError` for a file without it."""
    try:
        found = pl.read_parquet_metadata(path).get(KEY)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: is not a parquet file ({str(error).splitlines()[0]})") from None
    if found is None:
        raise DataError(f"{path}: carries no provenance; it was not written by crossaisle")
    facts: dict[str, Any] = json.loads(found)
    return facts
