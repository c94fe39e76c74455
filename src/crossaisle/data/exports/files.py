"""`Files`: the given files, looked up by their columns; and `Draft`: the settings made from them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.readers.parts import find_parts
from crossaisle.data.ingest.reshape.columns import texts_of
from crossaisle.data.ingest.reshape.explode import exploded
from crossaisle.data.ingest.sources import open_files
from crossaisle.errors import ConfigError, DataError
from crossaisle.table_config import FileConfig

SAMPLE = 2_000
"""Number of rows of a file that are examined."""
CATALOGUE = 200_000
"""Number of rows examined to see whether events refer to them."""
WIDE, FEWEST = 100, 100
"""From tables with more columns than `WIDE`, fewer rows are examined, so that the number of values stays the
same; but at least `FEWEST` rows."""


@dataclass(frozen=True)
class Given:
    """One file, and what its first rows reveal."""

    path: str
    names: tuple[str, ...]
    lists: tuple[str, ...] = ()
    """Columns that contain lists."""

    @property
    def stem(self) -> str:
        """Its name in lower case, without folders."""
        return self.path.replace("\\", "/").rsplit("/", 1)[-1].lower()

    def has(self, *names: str) -> bool:
        """Whether it has all of these columns."""
        return set(names) <= {*self.names, *self.lists}

    def first_of(self, *names: str) -> str | None:
        """The first of some columns that it has."""
        return next((name for name in names if name in self.names), None)

    def sample(
        self,
        settings: dict[str, Any] | None = None,
        *,
        rows: int = SAMPLE,
        columns: Iterable[str] | None = None,
        explode: str | None = None,
    ) -> pl.DataFrame:
        """Its first rows, with some or all columns as text; fewer rows of tables with many columns (`WIDE`).

        `explode`: a column of lists whose entries become rows.
        """
        config = FileConfig(**(settings or {}))
        limits = ReadLimits(json_batch=SAMPLE, batch=SAMPLE)
        source = open_files(Path(self.path), config, limits)
        wanted = None if columns is None else set(columns)
        if explode is not None:
            source = exploded(source, explode, sorted(wanted or ()))
        names = [n for n, k in Counter(source.names).items() if k == 1 and (wanted is None or n in wanted)]
        if not names:
            return pl.DataFrame()
        parts = [pl.DataFrame({name: pl.Series([], dtype=pl.String) for name in names})]
        left = rows if len(names) <= WIDE else max(rows * WIDE // len(names), FEWEST)
        for batch in source.batches(names):
            parts.append(texts_of(batch.slice(0, left), names))
            left -= len(parts[-1])
            if left <= 0:
                break
        return pl.concat(parts)


class Files:
    """The given files; those that have been taken are not returned again."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.left: list[Given] = []
        self.unread: list[str] = []
        """Files that are not tables, each with the reason."""
        for path in paths:
            if not path.exists() and not any(p.is_file() for p in path.parents):  # within a zip file
                raise DataError("no such file", file=str(path))
            parts, notes = find_parts(path, READ_LIMITS, tolerant=True)
            self.unread += notes
            for part in parts:
                self._open(part.file)

    def copy(self) -> Files:
        """A copy, from which the same files can be taken again."""
        other = Files(())
        other.left, other.unread = list(self.left), list(self.unread)
        return other

    def _open(self, file: str) -> None:
        try:
            source = open_files(Path(file), FileConfig())
            next(source.batches(source.names[:1]), None)  # reports damage beyond the header now
        except (DataError, ConfigError) as error:
            self.unread.append(str(error))
        else:
            lists = [name for top, fields in source.nested.items() for name in (top, *fields)]
            self.left.append(Given(file, source.names, tuple(lists)))

    def take(self, *columns: str, name: str = "") -> list[Given]:
        """Takes the files that have all these columns, or whose name matches a regular expression."""
        found = [
            f
            for f in self.left
            if (columns and f.has(*columns)) or (name and not columns and re.search(name, f.stem))
        ]
        self.left = [f for f in self.left if f not in found]
        return found

    def one(self, *columns: str, name: str = "") -> Given | None:
        """The first such file, or None."""
        found = self.take(*columns, name=name)
        self.left.extend(found[1:])
        return found[0] if found else None


Table = Literal["items", "events", "users"]


@dataclass
class Draft:
    """Settings of the `[data]` section, with remarks."""

    data: dict[str, Any] = field(default_factory=dict)
    tables: dict[Table, dict[str, Any]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """Sentences for the top of the settings file."""
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    """(table, key of `columns`) -> example values, shown next to it."""

    def table(self, name: Table, files: Given | Sequence[Given], **settings: Any) -> None:
        """Adds one table; settings and columns that are None are omitted."""
        given = [files] if isinstance(files, Given) else list(files)
        path: Any = given[0].path if len(given) == 1 else [f.path for f in given]
        settings["columns"] = {k: v for k, v in settings.get("columns", {}).items() if v}
        self.tables[name] = {"path": path, **{k: v for k, v in settings.items() if v is not None}}
