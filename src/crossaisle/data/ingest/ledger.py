"""`Ledger`: what an import read, kept, set aside and repaired. Nothing disappears silently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

VALUE_LIMIT = 200
RAW_LIMIT = 1_000
FILE_BITS = 40
"""Row numbers of a table with several files contain the file number above this many bits."""
SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "action": pl.String,
    "file": pl.String,
    "row": pl.Int64,
    "column": pl.String,
    "rule": pl.String,
    "value": pl.String,
    "raw": pl.String,
}


@dataclass
class Tally:
    """Counts of one table; `read == kept + sum(set_aside)` always holds."""

    file: str
    encoding: str | None = None
    read: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    files: tuple[str, ...] = ()
    """Its files, if there are several."""
    currencies: dict[str, int] = field(default_factory=dict)
    """Rows by the currency given with their price."""

    @property
    def kept(self) -> int:
        return self.read - sum(self.set_aside.values())


class Ledger:
    """Collects rejected and repaired rows as frames, and counts them by rule.

    Columns of the frame: `table`, `action` ("set aside": the row is not in the data set; "repaired": it
    is, with the value changed), `file`, `row` (1 = first row of the file, the header included where there is
    one), `column`, `rule`, `value` (200 characters at most) and `raw` (the row as JSON; null where the
    row itself is in order and only its item was set aside).
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.warnings: list[str] = []
        self._frames: list[pl.DataFrame] = []

    def set_aside(
        self,
        table: str,
        rule: str,
        column: str | None,
        rows: npt.NDArray[np.int64] | Sequence[int],
        values: pl.Series | Sequence[str | None] | None = None,
        raw: pl.Series | Sequence[str] | None = None,
    ) -> None:
        """Records rows that are left out of the data set."""
        if not len(rows):
            return
        self.tallies[table].set_aside[rule] += len(rows)
        self._add(table, "set aside", rule, column, rows, values, raw)

    def repaired(
        self,
        table: str,
        rule: str,
        column: str,
        rows: npt.NDArray[np.int64] | Sequence[int],
        values: pl.Series | Sequence[str | None],
    ) -> None:
        """Records rows that are in the data set, with one value changed."""
        if not len(rows):
            return
        self.tallies[table].repaired[rule] += len(rows)
        self._add(table, "repaired", rule, column, rows, values, None)

    def warn(self, text: str) -> None:
        """Adds a sentence to the report."""
        if text not in self.warnings:
            self.warnings.append(text)

    def _add(
        self, table: str, action: str, rule: str, column: str | None, rows: Any, values: Any, raw: Any
    ) -> None:
        tally = self.tallies[table]
        numbers = np.asarray(rows, np.int64)
        file = pl.Series(tally.files).gather(numbers >> FILE_BITS) if tally.files else pl.lit(tally.file)
        frame = pl.DataFrame({"row": numbers & ((1 << FILE_BITS) - 1)}).select(
            pl.lit(table).alias("table"),
            pl.lit(action).alias("action"),
            (pl.lit(file) if isinstance(file, pl.Series) else file).alias("file"),
            "row",
            pl.lit(column, pl.String).alias("column"),
            pl.lit(rule).alias("rule"),
            _text("value", values, VALUE_LIMIT),
            _text("raw", raw, RAW_LIMIT),
        )
        self._frames.append(frame)

    def frame(self) -> pl.DataFrame:
        """All rows set aside or repaired."""
        empty = pl.DataFrame(schema=SCHEMA)
        return pl.concat([empty, *self._frames]) if self._frames else empty

    def values(self, table: str, rule: str) -> pl.Series:
        """The distinct values that broke a rule."""
        found = self.frame().filter(pl.col("table") == table, pl.col("rule") == rule)["value"]
        return found.drop_nulls().unique(maintain_order=True)

    def explain(self, table: str) -> str:
        """One line for an error: the rules that affected the most rows."""
        rules = self.tallies[table].set_aside.most_common(3)
        return ", ".join(f"{rule} {count:,}" for rule, count in rules)

    def report(self) -> dict[str, Any]:
        """Counts by table, and the warnings; ready for JSON."""
        return {
            "tables": {
                name: {
                    "file": tally.file,
                    "files": list(tally.files) or [tally.file],
                    "encoding": tally.encoding,
                    "rows_read": tally.read,
                    "rows_kept": tally.kept,
                    "set_aside": dict(tally.set_aside.most_common()),
                    "repaired": dict(tally.repaired.most_common()),
                    "currencies": tally.currencies,
                }
                for name, tally in self.tallies.items()
            },
            "warnings": list(self.warnings),
        }


def _text(name: str, values: Any, limit: int) -> pl.Expr:
    if values is None:
        return pl.lit(None, pl.String).alias(name)
    series = values if isinstance(values, pl.Series) else pl.Series(list(values), dtype=pl.String)
    return pl.lit(series.str.slice(0, limit)).alias(name)


def spoken(report: dict[str, Any]) -> list[str]:
    """A report's counts and warnings as sentences."""
    lines = []
    for name, table in report["tables"].items():
        if table["set_aside"]:
            kept = f"{table['rows_kept']:,} of {table['rows_read']:,} rows kept"
            lines.append(f"{name}: {kept}; set aside: {_counts(table['set_aside'])}")
        if table["repaired"]:
            lines.append(f"{name}: values repaired: {_counts(table['repaired'])}")
    return lines + [f"note: {warning}" for warning in report["warnings"]]


def _counts(rules: dict[str, int]) -> str:
    return ", ".join(f"{rule} {n:,}" for rule, n in rules.items())


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Writes a table; `OSError` if the disk is full, for which polars has its own error."""
    try:
        frame.write_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise OSError(f"{path.name}: {str(error).splitlines()[0]}") from error


def write_import(folder: Path, report: dict[str, Any], rejected: pl.DataFrame) -> None:
    """Writes `report.json` and `rejected.parquet` to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    write_parquet(rejected, folder / "rejected.parquet")
