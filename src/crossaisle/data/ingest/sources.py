"""One reader per raw format; all of them yield Arrow batches of the columns that were asked for.

CSV and JSON Lines come as text, as they stand in the file; parquet and frames keep their types.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossaisle.config import TableConfig
from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.delimited import read_csv
from crossaisle.data.ingest.encodings import encoding_of
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.source import Misread, Source, lines
from crossaisle.errors import ConfigError, DataError, nearest

_PIECE = 1 << 20
SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def open_file(path: Path, config: TableConfig, limits: ReadLimits = READ_LIMITS) -> Source:
    """A source for a file; its format follows from the suffix unless the configuration gives one."""
    source = _open(path, config, limits)
    source.folder = path.parent
    return source


def _open(path: Path, config: TableConfig, limits: ReadLimits) -> Source:
    file = str(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"no such file{nearest(path.name, siblings) if siblings else ''}", file=file)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", file=file)
    suffixes = [s.lower() for s in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if zipped else suffixes)[-1:]
    kind = config.format or SUFFIXES.get(suffix[0] if suffix else "")
    opener = partial(_open_bytes, path, zipped, limits)
    if kind == "parquet":
        return _parquet(path, zipped, limits)
    if kind == "jsonl":
        return _jsonl(file, opener, config, limits)
    if kind is not None:
        return read_csv(file, opener, path, zipped, config, limits, tabs=kind == "tsv")
    raise ConfigError(f"{file}: unknown format: set format to 'csv', 'tsv', 'jsonl' or 'parquet'")


def _open_bytes(path: Path, zipped: bool, limits: ReadLimits) -> IO[bytes]:
    return io.BufferedReader(_Unpacked(path, limits), _PIECE) if zipped else path.open("rb")


class _Unpacked(io.RawIOBase):
    """What is in a gzip file; `DataError` where that is out of all proportion."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path, self._file, self._length = path, gzip.GzipFile(path), 0
        self._growth = limits.growth
        self._most = max(limits.growth * path.stat().st_size, limits.unpacked)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            count = self._file.readinto(buffer)
        except zlib.error as error:
            raise OSError(str(error)) from None
        self._length += count
        if self._length > self._most:
            raise DataError(
                f"unpacks to more than {self._most // 1_000_000:,} MB, {self._growth} times its size: "
                "if it is what it should be, unpack it first",
                file=str(self._path),
            )
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


# JSON Lines ------------------------------------------------------------------------------------------


def _jsonl(file: str, opener: Callable[[], IO[bytes]], config: TableConfig, limits: ReadLimits) -> Source:
    encoding, note = encoding_of(file, opener, config.encoding)
    names: dict[str, None] = {}
    for _, value in itertools.islice(_objects(file, opener, encoding, limits), limits.json_head):
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
    if not names:
        raise DataError("no line holds a JSON object", file=file)
    source = Source(file, tuple(names), lambda _: iter(()), 1, encoding, [note] if note else [])

    def rows() -> Iterator[dict[str, Any]]:
        for number, value in _objects(file, opener, encoding, limits):
            if isinstance(value, dict):
                yield value
            else:
                source.misread.append(Misread(number, "not_a_json_object", str(value)))

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        stream = rows()
        while chunk := list(itertools.islice(stream, limits.json_batch)):
            columns = [texts(_json_text(row.get(n)) for row in chunk) for n in wanted]
            yield pa.RecordBatch.from_arrays(columns, names=list(wanted))

    source.batches = batches
    return source


def _objects(
    file: str, opener: Callable[[], IO[bytes]], encoding: str, limits: ReadLimits
) -> Iterator[tuple[int, Any]]:
    """(row number, parsed object); a line that is not JSON comes back as its text. Blank lines count not."""
    with io.TextIOWrapper(opener(), encoding=encoding) as text:
        number = 0
        for line in lines(text, file, limits):
            if not line.strip():
                continue
            number += 1
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, line.strip()


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else repr(value)


# Parquet and frames ----------------------------------------------------------------------------------


def _parquet(path: Path, zipped: bool, limits: ReadLimits) -> Source:
    file = str(path)
    try:
        with _open_bytes(path, zipped, limits) as handle:
            head = pa.BufferReader(handle.read()) if zipped else str(path)
        reader = pq.ParquetFile(head)
        names = tuple(reader.schema_arrow.names)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DataError(f"cannot be read as parquet ({_first_line(error)})", file=file) from None

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader.iter_batches(batch_size=limits.batch, columns=list(wanted)):
                yield batch.select(list(wanted))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read as parquet ({_first_line(error)})", file=file) from None

    return Source(file, names, batches)


def of_frame(frame: Any, what: str, limits: ReadLimits = READ_LIMITS) -> Source:
    """A source for a pandas, polars or pyarrow table; `what` stands for the file in messages."""
    try:
        if isinstance(frame, pa.Table):
            table = frame
        elif hasattr(frame, "collect_schema"):  # polars, eager or lazy
            table = (frame.collect() if hasattr(frame, "collect") else frame).to_arrow()
        elif hasattr(frame, "iloc"):
            table = pa.Table.from_pandas(frame, preserve_index=False)
        else:
            raise DataError(
                f"must be a pandas, polars or pyarrow table (found {type(frame).__name__})", file=what
            )
    except pa.ArrowException as error:
        raise DataError(
            f"a column mixes types ({_first_line(error)}); make it text first", file=what
        ) from None

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from table.select(list(wanted)).to_batches(max_chunksize=limits.batch)

    return Source(what, tuple(table.column_names), batches)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
