"""Opens the files of a table as one `Source` of Arrow batches, with its reshaping steps applied.

CSV and JSON values are text, as written in the file; parquet, sheets and frames keep their types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.readers.delimited import read_csv
from crossaisle.data.ingest.readers.jsonlines import read_json
from crossaisle.data.ingest.readers.partitions import with_partition
from crossaisle.data.ingest.readers.parts import Part, find_parts
from crossaisle.data.ingest.readers.several import as_one
from crossaisle.data.ingest.readers.typed import of_frame, read_parquet
from crossaisle.data.ingest.readers.workbook import read_sheet
from crossaisle.data.ingest.readers.xmlfeed import read_xml
from crossaisle.data.ingest.reshape.steps import reshaped
from crossaisle.data.ingest.source import Source
from crossaisle.errors import ConfigError, DataError
from crossaisle.table_config import FileConfig, Format, TableConfig

__all__ = ["of_frame", "open_file", "open_files"]


def open_file(path: Path | tuple[Path, ...], config: TableConfig, limits: ReadLimits = READ_LIMITS) -> Source:
    """A source for a table's files, with the steps in its settings applied."""

    def opened(given: FileConfig) -> Source:
        assert given.path is not None
        return open_files(given.path, given, limits)

    return reshaped(open_files(path, config, limits), config, opened)


def open_files(path: Path | tuple[Path, ...], config: FileConfig, limits: ReadLimits = READ_LIMITS) -> Source:
    """A source for the raw files; the format follows from the suffix unless given."""
    parts, notes = find_parts(path, limits)
    kinds = Counter(part.kind for part in parts)
    if config.format is None and len(kinds) > 1:
        listed = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        raise DataError(
            f"files of several formats ({listed}): name those of the table, such as 'folder/*.csv'",
            file=_called(path),
        )
    first, *others = (_open(part, config, limits) for part in parts)
    _check_sheets(parts, [first, *others], path)
    rest = [_continued(s, first, p, config, limits) for s, p in zip(others, parts[1:], strict=True)]
    source = as_one(_called(path), [first, *rest])
    source.notes[:0] = notes
    return source


def _check_sheets(parts: Sequence[Part], sources: Sequence[Source], path: Path | tuple[Path, ...]) -> None:
    """`DataError` if the sheets of a workbook are different tables."""
    sheets = [(part, source) for part, source in zip(parts, sources, strict=True) if part.sheet is not None]
    if len({frozenset(source.names) for _, source in sheets}) > 1:
        listed = ", ".join(f"'{part.path}/{part.sheet}'" for part, _ in sheets)
        raise DataError(
            f"sheets with different columns are different tables: name the table's, one of {listed}",
            file=_called(path),
        )


def _continued(source: Source, first: Source, part: Part, config: FileConfig, limits: ReadLimits) -> Source:
    """Opens the source again without a header, if only the first file of a table has one."""
    whole = config.names or not config.header or len(source.names) != len(first.names)
    if whole or set(source.names) & set(first.names) or (config.format or part.kind) not in ("csv", "tsv"):
        return source
    again = _open(part, replace(config, header=False, names=first.names), limits)
    again.notes.append(f"{part.file}: has no header; its columns are taken from {first.file}")
    return again


def _called(path: Path | tuple[Path, ...]) -> str:
    if not isinstance(path, tuple):
        return str(path)
    return str(path[0]) + (f" and {len(path) - 1} more" if len(path) > 1 else "")


def _open(part: Part, config: FileConfig, limits: ReadLimits) -> Source:
    kind = config.format or part.kind
    if part.path is not None and part.sheet is not None:
        source = read_sheet(part.path, part.sheet, part.file, config, limits)
    elif kind == "parquet":
        source = read_parquet(part, limits)
    elif kind == "jsonl":
        source = read_json(part.file, part.opener, config, limits)
    elif kind == "xml":
        source = read_xml(part, limits)
    elif kind is not None:
        source = read_csv(part, config, limits, tabs=kind == "tsv")
    else:
        sheet = ": save it as CSV" if Path(part.file).suffix.lower() == ".numbers" else ""
        formats = ", ".join(map(repr, get_args(Format)))
        raise ConfigError(f"{part.file}: unknown format{sheet or f': set format to one of {formats}'}")
    source.folder = part.folder
    return with_partition(source, part.partition)
