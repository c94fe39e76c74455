"""Values as they come -> values as they are kept: ids, texts, numbers, moments and category paths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.control import CONTROL
from crossaisle.data.taxonomy import parse_paths

UNTIDY = r"^\s|\s$|\s\s|[^\S ]|" + CONTROL
MICROS = 1_000_000
DAY = 86_400 * MICROS


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


def encode_ids(values: pa.Array) -> tuple[pa.DictionaryArray, int]:
    """Ids as a dictionary of tidy texts, and how many rows held control characters.

    Only distinct ids are tidied, which is what makes millions of rows cheap.
    """
    coded = values if pa.types.is_dictionary(values.type) else as_text(values).dictionary_encode()
    names = as_text(coded.dictionary)
    frame = pl.DataFrame({"id": pl.Series(names, dtype=pl.String)})
    untidy = frame.select((pl.col("id").str.contains(UNTIDY) | (pl.col("id") == "")).any()).item()
    if not untidy:
        return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), names), 0
    cleaned = frame.select(
        tidy(pl.col("id")).alias("id"), dirty=pl.col("id").str.contains(CONTROL).fill_null(False)
    )
    again = texts(cleaned["id"]).dictionary_encode()
    indices = again.indices.take(coded.indices).cast(pa.int32())
    dirty = int(np.count_nonzero(cleaned["dirty"].to_numpy()[_codes(coded.indices)]))
    return pa.DictionaryArray.from_arrays(indices, again.dictionary), dirty


def _codes(indices: pa.Array) -> npt.NDArray[np.int64]:
    return to_numpy(indices.drop_null()).astype(np.int64)


def as_numbers(values: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """float64, NaN where absent or unreadable, and a mask of those that are there but unreadable.

    Infinite values and literal NaN count as unreadable; a NaN of a float column does too.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        numbers = values.cast(pa.int8()).cast(pa.float64())
    else:
        values = as_text(values)
        try:
            numbers = values.cast(pa.float64())  # the quick way, if every text is a number
        except pa.ArrowInvalid:
            text = pl.Series(values, dtype=pl.String).str.strip_chars()
            values = pl.select(pl.when(text != "").then(text)).to_series().to_arrow()
            numbers = text.cast(pl.Float64, strict=False).to_arrow()
    out = to_numpy(numbers).astype(np.float64)
    there = to_numpy(values.is_valid())
    bad = there & ~np.isfinite(out)
    out = np.where(np.isfinite(out), out, np.nan)
    return out, bad


# Moments ---------------------------------------------------------------------------------------------

UNITS = {"s": MICROS, "ms": 1_000, "us": 1, "ns": 1e-3}
ISO = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%MZ",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
)


@dataclass
class Clock:
    """Reads moments as microseconds since 1970 (UTC); text without an offset is taken as UTC.

    Numbers are seconds, milli-, micro- or nanoseconds by their magnitude (below 1e11, 1e14, 1e17,
    above), or days when they look like 20240131. `seen` counts what was met, so that a mixture can be
    reported.
    """

    unit: str | None = None
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._formats = list(ISO) if self.unit is None or self.unit in UNITS else [self.unit]

    def read(self, values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """int64 microseconds, and a mask of those that could be read. Absent values are not."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.dictionary_decode(), kind.value_type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            micros = values.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
            known = to_numpy(micros.is_valid())
            self._count("timestamps", int(known.sum()))
            return to_numpy(micros, 0), known
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if numeric and "%" not in (self.unit or ""):
            return self._numbers(as_numbers(values)[0])
        return self._texts(pl.Series(as_text(values)))

    def _numbers(
        self, numbers: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        known = np.isfinite(numbers)
        size = np.where(known, np.abs(numbers), 0.0)
        if self.unit in UNITS:
            factor = np.full(len(numbers), float(UNITS[self.unit]))
        else:
            steps = np.digitize(size, [1e11, 1e14, 1e17])
            factor = np.array([UNITS["s"], UNITS["ms"], 1.0, 1e-3])[steps]
            for step, name in enumerate(("seconds", "milliseconds", "microseconds", "nanoseconds")):
                self._count(name, int(np.count_nonzero(known & (steps == step))))
        known &= size * factor < 9e18
        micros = np.where(known, np.floor(np.where(known, numbers, 0.0) * factor), 0.0).astype(np.int64)
        if self.unit not in UNITS:
            self._compact_days(numbers, size, micros)
        return micros, known

    def _compact_days(
        self,
        numbers: npt.NDArray[np.float64],
        size: npt.NDArray[np.float64],
        micros: npt.NDArray[np.int64],
    ) -> None:
        """Puts days such as 20240131 right; as seconds they would all lie in August 1970."""
        compact = (size >= 19_700_101) & (size <= 21_001_231) & (numbers > 0) & (numbers % 1 == 0)
        if not compact.any():
            return
        text = pl.Series(numbers[compact].astype(np.int64)).cast(pl.String)
        days = text.str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("us")).to_physical()
        valid = days.is_not_null().to_numpy()
        place = np.flatnonzero(compact)[valid]
        micros[place] = days.drop_nulls().to_numpy()
        self._count("days as YYYYMMDD", len(place))
        self._count("seconds", -len(place))

    def _texts(self, text: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        read = _parse(text, self._formats[0])  # most likely fits all of it
        micros, known = read.fill_null(0).to_numpy(writable=True), read.is_not_null().to_numpy(writable=True)
        left = np.flatnonzero(text.is_not_null().to_numpy() & ~known)
        rest = text.gather(left).str.strip_chars()
        for pattern in list(self._formats):
            if not len(left):
                break
            read = _parse(rest, pattern)
            hit = read.is_not_null().to_numpy()
            if not hit.any():
                continue
            micros[left[hit]] = read.drop_nulls().to_numpy()
            known[left[hit]] = True
            left, rest = left[~hit], rest.filter(~read.is_not_null())
            if 2 * np.count_nonzero(hit) > len(text):
                self._formats.remove(pattern)  # the next batch most likely looks like this one
                self._formats.insert(0, pattern)
        self._count("text", int(known.sum()))
        if len(left) and "%" not in (self.unit or ""):
            micros[left], known[left] = self._numbers(rest.cast(pl.Float64, strict=False).to_numpy())
        return micros, known

    def _count(self, what: str, n: int) -> None:
        if n:
            self.seen[what] = self.seen.get(what, 0) + n


def _parse(text: pl.Series, pattern: str) -> pl.Series:
    """Microseconds since 1970, null where the text does not follow the pattern."""
    parsed = (
        text.str.to_datetime(pattern, time_unit="us", strict=False, cache=False)
        if "%H" in pattern or "%I" in pattern or "%T" in pattern
        else text.str.to_date(pattern, strict=False, cache=False).cast(pl.Datetime("us"))
    )
    return parsed.to_physical()


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
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())


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
