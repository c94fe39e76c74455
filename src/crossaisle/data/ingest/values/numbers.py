"""Parses human-written numbers: decimal point or comma, grouped thousands, currency signs and codes.

The decimal separator is decided per column, and never from a value that can be read both ways: `1.250` alone
decides nothing, but next to `1.299,00` it is 1250. A column with only ambiguous values is read like the other
numbers of its table. In a column of both kinds, `1,50` is 1.5 and so is `1.50`, since neither can mean
anything else.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from crossaisle.data.ingest.clean import as_text, to_numpy, without_nulls
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError

Mask = npt.NDArray[np.bool_]
_WORDS = (
    "euros?|eur|usd|gbp|chf|jpy|cny|inr|sek|nok|dkk|pln|czk|huf|ron|bgn|try|rub|uah|aud|cad|nzd|sgd|hkd|krw|thb|"
    r"vnd|idr|myr|php|brl|mxn|zar|aed|sar|ils|kr\.?|kč|zł|fr\.?|rs\.?|руб\.?|лв\.?"
)
"""Currency words and codes, in any case; other words, such as pcs, are not currencies."""
_CURRENCY = rf"[A-Z]{{3}}|[A-Z]{{0,2}}\p{{Sc}}|(?i:{_WORDS})"
_BODY = r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?|\d[\d.,]*(?:[eE][+-]?\d+)?|[.,]\d+(?:[eE][+-]?\d+)?"
CELL = (
    rf"^(?P<before>{_CURRENCY})?\s*(?P<sign>[+-])?\s*(?P<between>{_CURRENCY})?\s*"
    rf"(?P<body>{_BODY})(?:[.,][-–—])?\s*(?P<after>{_CURRENCY})?$"
)
CODES = {
    **{"€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "руб": "RUB", "руб.": "RUB", "₺": "TRY", "₩": "KRW"},
    **{"zł": "PLN", "kč": "CZK", "лв": "BGN", "лв.": "BGN", "us$": "USD", "₴": "UAH", "₫": "VND"},
    **{
        "euro": "EUR",
        "euros": "EUR",
        "kr.": "kr",
        "kr": "kr",
        "fr.": "Fr",
        "fr": "Fr",
        "rs.": "Rs",
        "rs": "Rs",
    },
}
"""Signs, in lower case, of a single currency; `$`, `¥`, `kr`, `Fr` and `Rs` stand for several."""
LOOKED_AT = 1_000
"""Number of rows whose other columns are examined for their decimal separator."""
AMBIGUOUS = r"^[1-9]\d{0,2}[.,]\d{3}$"


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column holds numbers, rather than numbers as text."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def typed_numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    """The numbers of a numeric column as float64; NaN if missing."""
    return to_numpy(values.cast(pa.float64())).astype(np.float64)


class Beside(NamedTuple):
    """The decimal separator used elsewhere in a table."""

    decimal: str
    example: str
    """An unambiguous number, and its column."""


def decimal_of(batch: pa.RecordBatch, nulls: Sequence[str]) -> Beside | None:
    """The decimal separator on which all number columns agree in some rows of a table; None if all are
    ambiguous.

    A number column is a text column in which every value is a number.
    """
    signs: dict[str, str] = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            continue
        text = without_nulls(_plain(pl.Series(as_text(values), dtype=pl.String)), ["", *nulls]).drop_nulls()
        body = text.str.extract_groups(CELL).struct.field("body").str.replace_all(r"[ '’]", "")
        if not len(body) or body.null_count():
            continue
        certain = {sign: _first(body, _certain(sign)) for sign in ",."}
        found = [sign for sign, value in certain.items() if value is not None]
        if len(found) == 1 and not _parse(body, found[0]).null_count():
            signs.setdefault(found[0], f"{certain[found[0]]!r} in column {name!r}")
    return Beside(*next(iter(signs.items()))) if len(signs) == 1 else None


def beside(source: Source, nulls: Sequence[str]) -> Callable[[], Beside | None]:
    """When called, examines all columns in the first rows of a table, which it reads again."""

    def look() -> Beside | None:
        if source.again is None:
            return None
        again = source.again()
        first = next(iter(again.batches(again.names)), None)
        return None if first is None else decimal_of(first.slice(0, LOOKED_AT), nulls)

    return look


class NumberReader:
    """Parses one column of numbers, batch by batch.

    `decimal` is the decimal separator, None to detect it; `nulls` are the words for "no value" (a literal NaN
    still counts as unreadable). `beside` returns the separator of the same table's other columns, in case
    this column is ambiguous.
    """

    def __init__(
        self,
        file: str,
        column: str,
        decimal: str | None,
        nulls: Sequence[str],
        beside: Callable[[], Beside | None] = lambda: None,
    ) -> None:
        self.file, self.column, self.decimal = file, column, decimal
        self.given = decimal is not None
        self.nulls = [word for word in nulls if word.lower() != "nan"]
        self.currencies: Counter[str] = Counter()
        """Rows by the currency given with the number: its code, or its sign."""
        self._beside = beside
        self._like: tuple[str, str] | None = None
        """An ambiguous value, and the number elsewhere in the table that decided how the column is read."""
        self._ambiguous: str | None = None
        self._odd: str | None = None
        """A value that is only valid with the other separator than the column's."""

    def read(self, values: pa.Array) -> tuple[npt.NDArray[np.float64], Mask]:
        """float64, NaN if missing or unreadable; and a mask of the unreadable values.

        Infinite values and literal NaN count as unreadable, and so does a NaN in a float column.
        """
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.dictionary_decode(), kind.value_type
        if pa.types.is_boolean(kind):
            values, kind = values.cast(pa.int8()), pa.int8()
        there = to_numpy(values.is_valid())
        if is_numeric(kind):
            out = typed_numbers(values)
        else:
            out, there = self._texts(as_text(values), there)
        bad = there & ~np.isfinite(out)
        return np.where(np.isfinite(out), out, np.nan), bad

    def note(self, ledger: Ledger) -> None:
        """Records the assumptions that were made."""
        place = f"{self.file}, column {self.column!r}"
        if self._odd is not None:
            usual = "comma" if self.decimal == "," else "point"
            ledger.warn(
                f"{place}: decimal points and commas both occur; numbers such as {self._odd!r} are "
                f"read by their own sign, ambiguous ones with a decimal {usual}: set decimal to '.' "
                "or ',' to allow only one"
            )
        elif self._like is not None:
            value, example = self._like
            kind = "comma" if self.decimal == "," else "point"
            ledger.warn(
                f"{place}: {value!r} is ambiguous and was read with a decimal {kind}, like {example}: "
                "set decimal to '.' or ',' if numbers look wrong"
            )
        elif self._ambiguous is not None and self.decimal is None:
            ledger.warn(
                f"{place}: {self._ambiguous!r} is ambiguous and was read with a decimal point: set "
                "decimal to '.' or ','"
            )
        elif self.decimal == "," and not self.given:
            ledger.warn(f"{place}: read with a decimal comma: set decimal if numbers look wrong")
        if len(self.currencies) > 1:
            ledger.warn(
                f"{place}: several currencies ({', '.join(sorted(self.currencies))}), compared "
                "without conversion"
            )

    def currency(self, values: pa.Array) -> pl.Series:
        """String: the currency given with each number, null if there is none."""
        text = pl.Series(as_text(values), dtype=pl.String)
        cells = _plain(text).str.extract_groups(CELL).struct.unnest()
        return _codes(cells.select(pl.coalesce("before", "between", "after")).to_series()).alias("currency")

    def _texts(self, text: pa.Array, there: Mask) -> tuple[npt.NDArray[np.float64], Mask]:
        if self.decimal != ",":
            try:
                out = to_numpy(text.cast(pa.float64())).astype(np.float64)  # the fast path
            except pa.ArrowInvalid:
                pass
            else:
                if self.decimal is None:
                    self._look(_distinct(text.filter(pc.match_substring(text, "."))))
                if self.decimal != ",":
                    return out, there
        coded = text.dictionary_encode()
        names = pl.Series(coded.dictionary, dtype=pl.String)
        codes = to_numpy(coded.indices, -1)
        numbers, absent = self._distinct_numbers(names, np.bincount(codes[codes >= 0], minlength=len(names)))
        return np.append(numbers, np.nan)[codes], ~np.append(absent, True)[codes]

    def _distinct_numbers(
        self, names: pl.Series, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], Mask]:
        clean = without_nulls(_plain(names), ["", *self.nulls])
        cells = clean.str.extract_groups(CELL).struct.unnest()
        for name in ("before", "between", "after"):
            found = pl.DataFrame({"sign": _codes(cells[name]), "rows": rows}).drop_nulls()
            self.currencies.update(dict(found.group_by("sign").sum().rows()))
        body = cells["body"].str.replace_all(r"[ '’]", "")
        if self.decimal is None:
            self._look(body.drop_nulls())
        numbers = self._parsed(body)
        signed = numbers * (1 - 2 * (cells["sign"] == "-").fill_null(False).cast(pl.Int8))
        return signed.to_numpy().astype(np.float64), clean.is_null().to_numpy()

    def _parsed(self, bodies: pl.Series) -> pl.Series:
        """Float64: parsed with the column's separator; unless that was given, values valid only with the
        other one use that."""
        usual = self.decimal or "."
        numbers = _parse(bodies, usual)
        if self.given:
            return numbers
        other = "." if usual == "," else ","
        odd = numbers.is_null() & bodies.str.contains(_certain(other)).fill_null(False)
        if odd.any():
            self._odd = self._odd or str(bodies.filter(odd)[0])
            numbers = numbers.zip_with(~odd, _parse(bodies, other))
        return numbers

    def _look(self, bodies: pl.Series) -> None:
        """Determines the decimal separator, once a value is unambiguous."""
        comma, point = (_first(bodies, _certain(sign)) for sign in ",.")
        if comma is not None and point is not None:
            self.decimal = "."
        elif comma is not None:
            if self._ambiguous is not None:
                raise DataError(
                    f"{self._ambiguous!r} was read with a decimal point, but {comma!r} follows: "
                    "set decimal to ','",
                    file=self.file,
                    column=self.column,
                )
            self.decimal = ","
        elif point is not None:
            self.decimal = "."
        elif self._ambiguous is None:
            self._ambiguous = _first(bodies, AMBIGUOUS)
            if self._ambiguous is not None and (found := self._beside()) is not None:
                self.decimal, self._like = found.decimal, (self._ambiguous, found.example)


def currency_codes(said: pl.Series) -> pl.Series:
    """String: the codes in a column of currencies; `eur`, `Euro` and `€` become EUR; null for anything
    else."""
    plain = _plain(said)
    known = plain.str.contains(f"^(?:{_CURRENCY}|[A-Za-z]{{3}})$").fill_null(False)
    return _codes(plain).set(~known, None).alias("currency")


def _codes(signs: pl.Series) -> pl.Series:
    """String: codes, `eur` and `€` as EUR; signs that stand for several currencies are unchanged."""
    by_sign = signs.str.to_lowercase().replace_strict(CODES, default=None, return_dtype=pl.String)
    code = signs.str.to_uppercase().set(~signs.str.contains("^[A-Za-z]{3}$").fill_null(False), None)
    return by_sign.fill_null(code).fill_null(signs)


def _plain(text: pl.Series) -> pl.Series:
    """Collapses spaces, and converts signs and digits to ASCII."""
    plain = text.str.replace_all(r"\s+", " ").str.strip_chars()
    if plain.str.contains(r"[^\x00-\x7F]").any():
        plain = plain.str.replace_many(_in_ascii())
    return plain


@cache
def _in_ascii() -> dict[str, str]:
    """Digits of all scripts, full-width forms typed on East Asian keyboards, and equivalent signs ->
    ASCII."""
    wide = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    every = map(chr, range(0x80, sys.maxunicode + 1))
    digits = {one: str(unicodedata.decimal(one)) for one in every if unicodedata.category(one) == "Nd"}
    return {**wide, **digits, "−": "-", "￥": "¥", "￡": "£", "٫": ".", "٬": "'"}


def _distinct(text: pa.Array) -> pl.Series:
    return pl.Series(text.unique(), dtype=pl.String).str.strip_chars().str.strip_prefix("-")


def _first(bodies: pl.Series, pattern: str) -> str | None:
    found = bodies.filter(bodies.str.contains(pattern).fill_null(False))
    return str(found[0]) if len(found) else None


def _certain(sign: str) -> str:
    """A pattern of numbers that are valid only with this decimal separator."""
    other = "." if sign == "," else ","
    s, o = f"[{sign}]", f"[{other}]"
    return (
        rf"^(?:{_grouped(o)}{s}\d*|\d*{s}(?:\d{{1,2}}|\d{{4,}})(?:[eE].*)?"
        rf"|\d{{1,3}}(?:{o}\d{{2,3}})+{o}\d{{3}}|(?:|0\d*|\d{{4,}}){s}\d{{3}})$"
    )


def _grouped(sign: str) -> str:
    """Groups of thousands, or of lakhs as in India (1,25,000)."""
    return rf"\d{{1,3}}(?:{sign}\d{{2,3}})*{sign}\d{{3}}"


def _parse(bodies: pl.Series, sign: str) -> pl.Series:
    """Float64; null if separators are not where they must be."""
    other = "." if sign == "," else ","
    s, o = f"[{sign}]", f"[{other}]"
    sound = rf"^(?:{_grouped(o)}(?:{s}\d*)?|(?:\d+(?:{s}\d*)?|{s}\d+)(?:[eE][+-]?\d+)?)$"
    plain = bodies.str.replace_all(other, "", literal=True).str.replace_all(sign, ".", literal=True)
    return plain.set(~bodies.str.contains(sound).fill_null(False), None).cast(pl.Float64, strict=False)
