"""JSON: one object per line, or one array of objects; a line may also be a Python dict literal."""

from __future__ import annotations

import ast
import io
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa

from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.readers.encodings import encoding_of
from crossaisle.data.ingest.source import Misread, Source, lines
from crossaisle.errors import DataError
from crossaisle.table_config import FileConfig

DEEPEST = 4
"""Maximum nesting depth of objects whose fields become columns."""
Objects = Callable[[], Iterator[tuple[int, Any]]]


def read_json(file: str, opener: Callable[[], IO[bytes]], config: FileConfig, limits: ReadLimits) -> Source:
    """A source for JSON. Nested fields become columns named `object.field`."""
    encoding, note = encoding_of(file, opener, config.encoding)
    objects = _objects(file, opener, encoding, limits)
    names: dict[str, None] = {}
    nested: dict[str, dict[str, None]] = {}
    top: set[str] = set()
    for _, value in itertools.islice(objects(), limits.json_head):
        if isinstance(value, dict):
            top.update(value)
            _collect(value, "", names, nested)
    if not names:
        raise DataError("no line holds a JSON object: write one object per line, or one array", file=file)
    source = Source(file, tuple(names), lambda _: iter(()), 1, encoding, [note] if note else [])
    source.nested = {name: tuple(fields) for name, fields in nested.items()}

    def rows() -> Iterator[dict[str, Any]]:
        for number, value in objects():
            if isinstance(value, dict):
                yield value
            else:
                source.misread.append(Misread(number, "not_a_json_object", str(value)))

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        stream = rows()
        paths = [(name,) if name in top else tuple(name.split(".")) for name in wanted]
        while chunk := list(itertools.islice(stream, limits.json_batch)):
            columns = [texts(json_text(within(row, path)) for row in chunk) for path in paths]
            yield pa.RecordBatch.from_arrays(columns, names=list(wanted))

    source.batches = batches
    return source


def _collect(
    value: Mapping[str, Any], prefix: str, names: dict[str, None], nested: dict[str, dict[str, None]]
) -> None:
    """Collects the names of all fields, including nested ones, and of the fields in the entries of lists."""
    for key, part in value.items():
        name = prefix + str(key)
        names[name] = None
        if isinstance(part, dict) and name.count(".") < DEEPEST:
            _collect(part, f"{name}.", names, nested)
        elif isinstance(part, list):
            fields = nested.setdefault(name, {})
            for entry in part[:10]:
                if isinstance(entry, dict):
                    _collect(entry, f"{name}.", fields, {})


def within(value: Any, path: Sequence[str]) -> Any:
    """The field at a path of nested objects; None if the path ends early."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _objects(file: str, opener: Callable[[], IO[bytes]], encoding: str, limits: ReadLimits) -> Objects:
    """Returns a function that iterates over (row number, parsed object) and may be called repeatedly."""
    with io.TextIOWrapper(opener(), encoding=encoding) as text:
        first = next((c for c in iter(lambda: text.read(1), "") if not c.isspace() and c != "\ufeff"), "")
        following = text.read(1 << 10).lstrip() if first == "[" else ""
    if first == "[" and following[:1] in ("{", ""):
        array = _array(file, opener, encoding, limits)
        return lambda: enumerate(array, 1)
    return lambda: _lines(file, opener, encoding, limits)


def _array(file: str, opener: Callable[[], IO[bytes]], encoding: str, limits: ReadLimits) -> list[Any]:
    with io.TextIOWrapper(opener(), encoding=encoding) as text:
        whole = text.read(limits.json_array + 1)
    if len(whole) > limits.json_array:
        raise DataError(
            f"one JSON array of more than {limits.json_array >> 20} MB: write one object per line instead",
            file=file,
        )
    try:
        value = json.loads(whole)
    except (ValueError, RecursionError) as error:
        raise DataError(f"neither one JSON object per line nor a JSON array ({error})", file=file) from None
    return value if isinstance(value, list) else [value]


def _lines(
    file: str, opener: Callable[[], IO[bytes]], encoding: str, limits: ReadLimits
) -> Iterator[tuple[int, Any]]:
    """Yields lines; one that is neither JSON nor a Python dict is yielded as text. Blank lines are not
    counted."""
    with io.TextIOWrapper(opener(), encoding=encoding) as text:
        number = 0
        for line in lines(text, file, limits):
            if not line.strip():
                continue
            number += 1
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, python_literal(line.strip()) or line.strip()


def python_literal(text: str) -> list[Any] | dict[Any, Any] | None:
    """Parses a list or dict written as a Python literal (`['a', None]`); None if the text is not one."""
    if not text.startswith(("{", "[")) or not text.endswith(("}", "]")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the text
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def json_text(value: Any) -> str | None:
    """A value as cell text; None for null and empty text."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, float) else repr(value)
