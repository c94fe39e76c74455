"""Values as they come -> values as they are kept: ids, texts and category paths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.control import CONTROL, tidied
from crossaisle.data.taxonomy import parse_paths

UNTIDY = r"^\s|\s$|\s\s|[^\S ]|" + CONTROL


def to_arrow(values: np.ndarray) -> pa.Array:
    """A numpy array for Arrow; `pa.array` would import pandas wherever it is installed."""
    return pl.Series(values).to_arrow()


def to_numpy(values: pa.Array, absent: int | None = None) -> np.ndarray:
    """An Arrow array for numpy, with `absent` instead of nulls (float64 NaN where it is not given)."""
    series = pl.Series(values)
    return (series if absent is None else series.fill_null(absent)).to_numpy()


def texts(values: pl.Series | Iterable[str | None]) -> pa.Array:
    """The same for texts."""
    series = values if isinstance(values, pl.Series) else pl.Series(list(values), dtype=pl.String)
    return series.to_arrow().cast(pa.string())


def as_text(values: pa.Array) -> pa.Array:
    """Any Arrow array as text; whole floats (an integer column with gaps) lose their '.0', NaN is null."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    if pa.types.is_floating(kind):
        numbers = pl.Series(values.cast(pa.float64())).fill_nan(None)
        whole = (numbers.floor() == numbers) & (numbers.abs() < 2.0**53)
        rounded = numbers.cast(pl.Int64, strict=False).cast(pl.String)
        text = pl.select(pl.when(whole).then(rounded).otherwise(numbers.cast(pl.String))).to_series()
        return texts(text)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return texts(None if v is None else _listed(v) for v in values.to_pylist())
    return values.cast(pa.string())


def shown(values: pa.Array) -> pl.Series:
    """Values as they are shown in the list of rejected rows: like `as_text`, NaN included."""
    floating = pa.types.is_floating(values.type)
    return pl.Series(values.cast(pa.string()) if floating else as_text(values), dtype=pl.String)


def _listed(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return json.dumps(value, ensure_ascii=False, default=str)


def tidy(text: pl.Expr) -> pl.Expr:
    """What `control.tidied` does to one text; null where nothing is left."""
    clean = text.str.replace_all(CONTROL, "").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(clean != "").then(clean)


def without_nulls(text: pl.Series, nulls: Sequence[str]) -> pl.Series:
    """The same texts, null where one of them only says that there is none."""
    return text.set(text.is_in(list(nulls)), None)


def encode_ids(values: pa.Array, nulls: Sequence[str] = ()) -> tuple[pa.DictionaryArray, int]:
    """Ids as a dictionary of tidy texts, and how many rows held control characters.

    An id that is one of `nulls` is absent. Only distinct ids are tidied, which is what makes millions of
    rows cheap.
    """
    coded = values if pa.types.is_dictionary(values.type) else as_text(values).dictionary_encode()
    names = as_text(coded.dictionary)
    frame = pl.DataFrame({"id": pl.Series(names, dtype=pl.String)})
    blank = pl.col("id").is_in(["", *nulls])
    untidy = frame.select((pl.col("id").str.contains(UNTIDY) | blank).any()).item()
    if not untidy:
        return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), names), 0
    cleaned = frame.select(
        tidy(pl.col("id")).alias("id"), dirty=pl.col("id").str.contains(CONTROL).fill_null(False)
    )
    again = texts(without_nulls(cleaned["id"], nulls)).dictionary_encode()
    indices = again.indices.take(coded.indices).cast(pa.int32())
    dirty = int(np.count_nonzero(cleaned["dirty"].to_numpy()[_codes(coded.indices)]))
    return pa.DictionaryArray.from_arrays(indices, again.dictionary), dirty


def _codes(indices: pa.Array) -> npt.NDArray[np.int64]:
    return to_numpy(indices.drop_null()).astype(np.int64)


# Category paths --------------------------------------------------------------------------------------

Paths = tuple[tuple[str, ...], ...]


def read_paths(value: str | None, separator: str) -> tuple[Paths, bool]:
    """Paths out of one cell, and whether one of them came back to a category it had passed.

    A cell is a path ('A > B'), or a JSON list of paths, or a JSON list of lists of names. A path that
    comes back (A > B > A) is cut before the repetition.
    """
    if value is None:
        return (), False
    listed: Any = None
    if value.startswith("["):
        try:
            listed = json.loads(value)
        except ValueError:
            listed = None
    if not isinstance(listed, list):
        paths = parse_paths(_tidy(value), separator)
    elif any(isinstance(v, list) for v in listed):
        names = ([_tidy(n) for n in v if n] if isinstance(v, list) else [_tidy(v)] for v in listed)
        paths = tuple(dict.fromkeys(p for p in (tuple(n for n in v if n) for v in names) if p))
    else:
        paths = parse_paths([_tidy(v) for v in listed], separator)
    cut = tuple(_before_repetition(p) for p in paths)
    return cut, cut != paths


def _tidy(value: Any) -> str:
    return tidied(str(value or ""))


def _before_repetition(path: Sequence[str]) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for name in path:
        if name in seen:
            break
        seen[name] = None
    return tuple(seen)


def level_paths(levels: Sequence[Sequence[str | None]]) -> list[Paths]:
    """Paths out of one column per level, cut at the first empty level.

    Each column is a level of its own, so that one name may stand in two of them.
    """
    out: list[Paths] = []
    known: dict[tuple[str | None, ...], Paths] = {}
    for row in zip(*levels, strict=True):
        if row not in known:
            names = [_tidy(n) for n in row]
            depth = next((d for d, n in enumerate(names) if not n), len(names))
            known[row] = (tuple(names[:depth]),) if depth else ()
        out.append(known[row])
    return out
