"""Parses times into microseconds since 1970 (UTC)."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.ingest.clean import as_text, to_numpy
from crossaisle.data.ingest.values.numbers import is_numeric, typed_numbers
from crossaisle.errors import ConfigError

MICROS = 1_000_000
DAY = 86_400 * MICROS
_EXCEL = (20_000, 80_000)
"""Days since 1899-12-30, for the years 1954 to 2119."""
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
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
)
HINTS = (
    *("%Y-%m-%d", "%Y/%m/%d"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y"),
    *("%B %d, %Y", "%d. %B %Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y"),
)
"""Date formats that are ambiguous across countries, or depend on a language: suggested, never guessed."""
ZONE = r"\d ?[A-Z][A-Za-z]{1,4}$|/[A-Z][a-z]+$"
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %I:%M %p")


@dataclass
class Clock:
    """Parses times into microseconds since 1970 (UTC); text without an offset is taken as UTC.

    The magnitude of a number decides whether it is in seconds, milli-, micro- or nanoseconds (below 1e11,
    1e14, 1e17, above); numbers like 20240131 are days, those like 20240131235959 times. `seen` counts the
    formats found, so that a mixture can be reported.
    """

    unit: str | None = None
    """See `DataConfig.time_unit`."""
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._formats = [self.unit] if self.unit is not None and "%" in self.unit else list(ISO)
        try:
            _parse(pl.Series(["x"]), self._formats[0])
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"[data]: time_unit: {self.unit!r} cannot read any time ({reason})") from None

    def read(self, values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """int64 microseconds, and a mask of the values that could be parsed; missing values are False."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.dictionary_decode(), kind.value_type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            micros = values.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
            known = to_numpy(micros.is_valid())
            self._count("timestamps", int(known.sum()))
            return to_numpy(micros, 0), known
        if is_numeric(kind) and "%" not in (self.unit or ""):
            return self._numbers(typed_numbers(values))
        return self._texts(pl.Series(as_text(values)))

    def _numbers(
        self, numbers: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        known = np.isfinite(numbers)
        size = np.where(known, np.abs(numbers), 0.0)
        if self.unit == "excel":
            numbers, size = numbers - 25_569, np.abs(size - 25_569)  # 1970-01-01
            factor = np.full(len(numbers), float(DAY))
        elif self.unit in UNITS:
            factor = np.full(len(numbers), float(UNITS[self.unit]))
        else:
            steps = np.digitize(size, [1e11, 1e14, 1e17])
            factor = np.array([UNITS["s"], UNITS["ms"], 1.0, 1e-3])[steps]
            for step, name in enumerate(("seconds", "milliseconds", "microseconds", "nanoseconds")):
                self._count(name, int(np.count_nonzero(known & (steps == step))))
        known &= size * factor < 9e18
        micros = np.where(known, np.floor(np.where(known, numbers, 0.0) * factor), 0.0).astype(np.int64)
        if self.unit is None:
            self._compact(numbers, micros, "%Y%m%d", (19_700_101, 21_001_231), "seconds")
            moments = (19_700_101_000_000, 21_001_231_235_959)
            self._compact(numbers, micros, "%Y%m%d%H%M%S", moments, "milliseconds")
        return micros, known

    def _compact(
        self,
        numbers: npt.NDArray[np.float64],
        micros: npt.NDArray[np.int64],
        pattern: str,
        bounds: tuple[int, int],
        instead: str,
    ) -> None:
        """Corrects days such as 20240131; read as seconds, they would all be in August 1970."""
        compact = (numbers >= bounds[0]) & (numbers <= bounds[1]) & (numbers % 1 == 0)
        if not compact.any():
            return
        moments = _parse(pl.Series(numbers[compact].astype(np.int64)).cast(pl.String), pattern)
        valid = moments.is_not_null().to_numpy()
        place = np.flatnonzero(compact)[valid]
        micros[place] = moments.drop_nulls().to_numpy()
        self._count("days as YYYYMMDD" if pattern == "%Y%m%d" else "moments as YYYYMMDDhhmmss", len(place))
        self._count(instead, -len(place))

    def _texts(self, text: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        read = _parse(text, self._formats[0])  # most likely fits all values
        micros, known = read.fill_null(0).to_numpy(writable=True), read.is_not_null().to_numpy(writable=True)
        left = np.flatnonzero(text.is_not_null().to_numpy() & ~known)
        self._count("text", int(known.sum()))
        rest = text.gather(left).str.strip_chars()
        if len(left) and "%" not in (self.unit or ""):
            numbers = rest.cast(pl.Float64, strict=False)
            micros[left], known[left] = self._numbers(numbers.to_numpy())
            other = ~known[left]
            left, rest = left[other], rest.filter(pl.Series(other))
        for padded, pattern in itertools.product((False, True), list(self._formats)):
            if not len(left):
                break
            if padded and ".f" in pattern:  # the digits of a fraction need no leading zero
                continue
            read = _parse(_padded(rest) if padded else rest, pattern)
            hit = read.is_not_null().to_numpy()
            if not hit.any():
                continue
            micros[left[hit]] = read.drop_nulls().to_numpy()
            known[left[hit]] = True
            self._count("text", int(hit.sum()))
            left, rest = left[~hit], rest.filter(~read.is_not_null())
            if 2 * np.count_nonzero(hit) > len(text):
                self._formats.remove(pattern)  # the next batch most likely has the same format
                self._formats.insert(0, pattern)
        return micros, known

    def _count(self, what: str, n: int) -> None:
        if n:
            self.seen[what] = self.seen.get(what, 0) + n


_CLOCK = re.compile(r"%[-_0]?[HIklMSTRrXcsfp]")


def _padded(text: pl.Series) -> pl.Series:
    """Adds leading zeros to one-digit days, months and hours; writes `a.m.` and `pm` as AM and PM."""
    plain = text.str.replace_all(r"\s", " ").str.replace_all(r"\b(\d)\b", "0${1}")
    for half in "AP":
        plain = plain.str.replace(rf"(?i)(\d) *{half}\.? ?M\.?$", rf"${{1}} {half}M")
    return plain


def _parse(text: pl.Series, pattern: str) -> pl.Series:
    """Microseconds since 1970; null if the text does not match the pattern."""
    parsed = (
        text.str.to_datetime(pattern, time_unit="us", strict=False, cache=False)
        if _CLOCK.search(pattern)
        else text.str.to_date(pattern, strict=False, cache=False).cast(pl.Datetime("us"))
    )
    return parsed.to_physical()


def how_to_read(text: pl.Series) -> str:
    """What to do about times that cannot be parsed: the values of `time_unit` that parse all of them."""
    text = _padded(text.drop_nulls().str.strip_chars().unique(maintain_order=True)[:1000])
    patterns = (day + clock for day in HINTS for clock in CLOCKS)
    # a two-digit year would be parsed as one of the first century
    fits = [p for p in patterns if (_parse(text, p) >= 0).fill_null(False).all()]
    if len(text) and not fits and text.str.contains(ZONE).all():
        return "names of time zones cannot be read; write offsets, such as +0100"
    if not len(text) or not fits:
        return "set time_unit to their format, such as '%d/%m/%Y %H:%M'"
    return "set time_unit to " + " or ".join(map(repr, fits[:3]))


def looks_like_excel(low: int, high: int) -> bool:
    """Whether times (microseconds) parsed as seconds are really a spreadsheet's days since 1900."""
    return _EXCEL[0] * MICROS <= low and high <= _EXCEL[1] * MICROS
