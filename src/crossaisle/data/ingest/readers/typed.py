"""Tables with typed columns: parquet files and frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.readers.parts import Part
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError


def read_parquet(part: Part, limits: ReadLimits) -> Source:
    """A source for a parquet file. Fields of structs become columns named `struct.field`."""
    file = part.file
    try:
        if part.path is not None:
            reader = pq.ParquetFile(str(part.path))
        else:
            with part.opener() as handle:
                reader = pq.ParquetFile(pa.BufferReader(handle.read()))
        schema = reader.schema_arrow
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DataError(f"cannot be read as parquet ({first_line(error)})", file=file) from None

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        paths = [_path(name, schema.names) for name in wanted]
        try:
            columns = list(dict.fromkeys(path[0] for path in paths))
            for batch in reader.iter_batches(batch_size=limits.batch, columns=columns):
                yield _picked(batch, wanted, paths)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read as parquet ({first_line(error)})", file=file) from None

    source = Source(file, _names(schema), batches)
    source.nested = _nested(schema)
    return source


def of_frame(frame: Any, what: str, limits: ReadLimits = READ_LIMITS) -> Source:
    """A source for a pandas, polars or pyarrow table; `what` is its name in messages."""
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
            f"a column mixes types ({first_line(error)}); convert it to text first", file=what
        ) from None

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        paths = [_path(name, table.schema.names) for name in wanted]
        columns = table.select(list(dict.fromkeys(path[0] for path in paths)))
        for batch in columns.to_batches(max_chunksize=limits.batch):
            yield _picked(batch, wanted, paths)

    source = Source(what, _names(table.schema), batches)
    source.nested = _nested(table.schema)
    return source


def _names(schema: pa.Schema) -> tuple[str, ...]:
    names: list[str] = []
    for field in schema:
        names.append(field.name)
        if pa.types.is_struct(field.type):
            names.extend(_fields(field.type, f"{field.name}."))
    return tuple(names)


def _fields(kind: pa.DataType, prefix: str) -> Iterator[str]:
    for field in kind:
        yield prefix + field.name
        if pa.types.is_struct(field.type):
            yield from _fields(field.type, f"{prefix}{field.name}.")


def is_list(kind: pa.DataType) -> bool:
    """Whether the values are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _nested(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    found = {}
    for field in schema:
        if is_list(field.type):
            entry = field.type.value_type
            found[field.name] = tuple(_fields(entry, f"{field.name}.")) if pa.types.is_struct(entry) else ()
    return found


def _path(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    return (name,) if name in columns else tuple(name.split("."))


def _picked(batch: pa.RecordBatch, wanted: Sequence[str], paths: Sequence[tuple[str, ...]]) -> pa.RecordBatch:
    arrays = []
    for path in paths:
        array = batch.column(path[0])
        for field in path[1:]:
            array = pc.struct_field(array, field)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(wanted))


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
