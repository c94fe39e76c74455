"""Settings of one table: where its files are, how to read them, and how to repair its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crossaisle.errors import ConfigError

Format = Literal["csv", "tsv", "jsonl", "parquet", "xml"]
Rows = Mapping[str, tuple[str, ...]]
"""Column -> values; "" is an empty cell, `*` matches any characters."""


def _check_rows(setting: str, rows: Rows | None) -> None:
    """Raises `ConfigError` for a row filter that names no columns or no values."""
    if rows is None:
        return
    if not rows:
        raise ConfigError(f"{setting} must name a column and its values; leave it out for all rows")
    for column, values in rows.items():
        if not values:
            raise ConfigError(f"{setting} must give {column!r} at least one value; '' is an empty cell")


@dataclass(frozen=True, kw_only=True)
class FileConfig:
    """The files of one table and their format."""

    path: Path | tuple[Path, ...] | None = None
    """A file, a folder, a zip file, a workbook or a sheet of one ("shop.xlsx/Products"), a pattern such as
    "2024-*.csv", or a list of these."""
    format: Format | None = None
    """Inferred from the file's suffix if unset."""
    encoding: str | None = None
    """Detected if unset: byte order mark, UTF-8, UTF-16, GB18030, else Windows-1252."""
    header: bool = True
    """Whether the first line of a CSV or TSV file, or a row of a sheet, names the columns."""
    names: tuple[str, ...] = ()
    """Column names of a CSV or TSV file or of a sheet, in order. Without header and names, the columns are
    "1", "2", ..."""
    delimiter: str | None = None
    """One or more characters; detected from the first line if unset."""
    quote: str | None = None
    """The character that encloses values, "" for none. Unset: `"`, but in tab-separated files only if the
    header is quoted."""

    def __post_init__(self) -> None:
        if self.delimiter == "":
            raise ConfigError("delimiter must not be empty: leave it unset to detect it")
        if self.quote is not None and len(self.quote) > 1:
            raise ConfigError(f"quote must be one character, or empty for none (found {self.quote!r})")
        if self.quote and self.delimiter is not None and len(self.delimiter) > 1:
            raise ConfigError(
                f"quote must be empty where the delimiter has several characters (found {self.quote!r}, "
                f"{self.delimiter!r})"
            )
        if self.path == ():
            raise ConfigError("path must name at least one file")
        if not all(name.strip() for name in self.names):
            raise ConfigError("names must not be empty: call a column that is not needed '-', for example")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ConfigError(f"names must differ ({twice[0]!r} occurs twice)")


@dataclass(frozen=True, kw_only=True)
class FillConfig:
    """Columns whose cells are left empty if they equal the cell above."""

    columns: tuple[str, ...]
    by: str | None = None
    """Fill only from rows with the same value in this column."""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigError("fill_down needs columns: which ones to fill")


@dataclass(frozen=True, kw_only=True)
class JoinConfig(FileConfig):
    """Another table, whose columns are added to those of the first."""

    on: str | tuple[str, str] = ""
    """The key column if both tables call it the same, or its two names: in the first table, in this one."""
    columns: tuple[str, ...] = ()
    """Columns to take; all if empty."""
    keep: Rows | None = None
    """Column -> values: use only rows with one of these values."""
    take: Literal["first", "last", "all"] = "first"
    """If several rows match: the first, the last, or the texts of all, joined with commas."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is None:
            raise ConfigError("join needs path: which table to join")
        _check_rows("keep", self.keep)
        if not self.on or not all(self.keys):
            raise ConfigError("join needs on: the column that both tables have")
        if not isinstance(self.on, str) and len(self.on) != 2:
            raise ConfigError(f"on must be one column, or two: the first table's and this one's ({self.on})")

    @property
    def keys(self) -> tuple[str, str]:
        """The key column in the first table, and in this one."""
        return (self.on, self.on) if isinstance(self.on, str) else (self.on[0], self.on[-1])


@dataclass(frozen=True, kw_only=True)
class TreeConfig(FileConfig):
    """A table of categories with a column for each category's parent."""

    id: str = "id"
    parent: str = "parent"
    name: str | None = None
    """The column with the category's name; unset: its id is its name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is None:
            raise ConfigError("category_tree needs path: which table to read")


@dataclass(frozen=True, kw_only=True)
class TableConfig(FileConfig):
    """Where one table comes from: a path, a URL with its sha256, or a file of a hub repository."""

    url: str | None = None
    sha256: str | None = None
    hub: str | None = None
    """'owner/repository' of a data set on the Hugging Face hub."""
    file: str | None = None
    """The file inside the hub repository."""
    decimal: Literal[".", ","] | None = None
    """The decimal separator. Detected per column if unset, `.` if ambiguous."""
    fill_down: FillConfig | None = None
    """Columns whose empty cells take the value of the row above."""
    explode: str | None = None
    """A column of lists: each entry becomes its own row; fields of an entry are named `column.field`."""
    join: JoinConfig | tuple[JoinConfig, ...] = ()
    """Further tables whose columns are added to these rows."""
    keep: Rows | None = None
    """Column -> values: use only rows with one of these values."""
    drop: Rows | None = None
    """Column -> values: leave out rows with one of these values."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("path", "url", "hub") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"give one of path, url and hub, not {' and '.join(given)}")
        if self.url is not None and self.sha256 is None:
            raise ConfigError("url needs sha256, so that the download can be verified")
        _check_rows("keep", self.keep)
        _check_rows("drop", self.drop)
        if self.hub is not None and self.file is None:
            raise ConfigError("hub needs file: which file of the repository to read")

    @property
    def located(self) -> bool:
        """Whether the settings say where the table is."""
        return any(place is not None for place in (self.path, self.url, self.hub))

    @property
    def joins(self) -> tuple[JoinConfig, ...]:
        """All joins, in order."""
        return (self.join,) if isinstance(self.join, JoinConfig) else self.join
