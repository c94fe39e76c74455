"""Cleans raw values: ids and texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.data.text.control import CONTROL
from crossaisle.data.text.ids import REFUSED, UNTIDY, tidy_ids

Mask = npt.NDArray[np.bool_]


def to_arrow(values: np.ndarray) -> pa.Array:
    """Converts a numpy array to Arrow; `pa.array` would import pandas if that is installed."""
    return pl.Series(values).to_arrow()


def to_numpy(values: pa.Array, absent: int | None = None) -> np.ndarray:
    """Converts an Arrow array to numpy, with nulls replaced by `absent` (by default float64 NaN)."""
    series = pl.Series(values)
    return (series if absent is None else series.fill_null(absent)).to_numpy()


def texts(values: pl.Series | Iterable[str | None]) -> pa.Array:
    """Converts texts to Arrow."""
    series = values if isinstance(values, pl.Series) else pl.Series(list(values), dtype=pl.String)
    return series.to_arrow().cast(pa.string())


def as_text(values: pa.Array) -> pa.Array:
    """Converts any Arrow array to text; whole floats (integer columns with gaps) lose their '.0', NaN becomes
    null."""
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
    """Values as displayed in the list of rejected rows: like `as_text`, but NaN is kept."""
    floating = pa.types.is_floating(values.type)
    return pl.Series(values.cast(pa.string()) if floating else as_text(values), dtype=pl.String)


def _listed(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return json.dumps(value, ensure_ascii=False, default=str)


def tidy(text: pl.Expr) -> pl.Expr:
    """`control.tidied` as a polars expression; null if the result is empty."""
    clean = text.str.replace_all(CONTROL, "").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(clean != "").then(clean)


def without_nulls(text: pl.Series, nulls: Sequence[str]) -> pl.Series:
    """The texts, with null for those that mean "no value"."""
    return text.set(text.is_in(list(nulls)), None)


@dataclass
class Ids:
    """The ids in one column of a batch."""

    codes: pa.DictionaryArray
    """Tidy ids; null if missing or refused."""
    repaired: dict[str, int]
    """Rule -> number of rows repaired."""
    refused: dict[str, Mask]
    """Rule -> rows whose value cannot be an id."""


def encode_ids(values: pa.Array, nulls: Sequence[str] = (), *, refuse: bool = True) -> Ids:
    """Dictionary-encodes ids as tidy texts.

    Ids in `nulls` count as missing; with `refuse`, so do values that cannot be ids (`Ids.refused`). Only
    distinct ids are tidied, which makes millions of rows cheap.
    """
    coded = values if pa.types.is_dictionary(values.type) else as_text(values).dictionary_encode()
    names = as_text(coded.dictionary)
    given = pl.Series("id", names, dtype=pl.String)
    if not (given.str.contains(UNTIDY) | given.is_in(["", *nulls])).any():
        return Ids(pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), names), {}, {})
    codes = to_numpy(coded.indices, -1)
    clean, repaired, refused = tidied_ids(given, nulls, refuse=refuse)
    again = texts(clean).dictionary_encode()
    counts = {rule: int(np.count_nonzero(_at(mask, codes))) for rule, mask in repaired.items()}
    return Ids(
        pa.DictionaryArray.from_arrays(again.indices.take(coded.indices).cast(pa.int32()), again.dictionary),
        {rule: n for rule, n in counts.items() if n},
        {rule: _at(mask, codes) for rule, mask in refused.items() if mask.any()},
    )


def tidied_ids(
    given: pl.Series, nulls: Sequence[str] = (), *, refuse: bool = True
) -> tuple[pl.Series, dict[str, Mask], dict[str, Mask]]:
    """Tidy ids (null if missing or refused), and rule -> mask of those repaired, and of those refused."""
    clean = pl.DataFrame({"id": given}).select(tidy_ids(pl.col("id")))["id"]
    clean = without_nulls(clean, nulls)
    there = clean.is_not_null()
    repaired = {
        "control_characters": (given.str.contains(CONTROL) & there).fill_null(False).to_numpy(),
        "whole_number_id": (given.str.strip_chars().str.ends_with(".0") & ~clean.str.ends_with(".0"))
        .fill_null(False)
        .to_numpy(),
    }
    refused = {}
    for rule, pattern in REFUSED.items() if refuse else ():
        mask = clean.str.contains(pattern).fill_null(False)
        refused[rule] = mask.to_numpy()
        clean = clean.set(mask, None)
    return clean, repaired, refused


def _at(mask: Mask, codes: npt.NDArray[np.integer]) -> Mask:
    at: Mask = np.append(mask, False)[codes]
    return at


def with_guests(users: pa.DictionaryArray, baskets: pa.DictionaryArray) -> pa.DictionaryArray:
    """The users; events without one get their basket as an anonymous user, named `basket:ID`."""
    n = len(users.dictionary)
    codes, basket = to_numpy(users.indices, -1), to_numpy(baskets.indices, -1)
    named = to_numpy(baskets.dictionary.is_valid())
    guest = (codes == -1) & np.append(named, False)[basket]
    codes = np.where(guest, basket + n, codes).astype(np.int32)
    names = [*users.dictionary.to_pylist(), *(f"basket:{b}" for b in baskets.dictionary.to_pylist())]
    indices = pl.Series(codes).set(pl.Series(codes < 0), None)
    return pa.DictionaryArray.from_arrays(indices.to_arrow(), texts(names))


def alike(unknown: pl.Series, known: pl.Series) -> str | None:
    """A sentence if unknown ids differ from known ones only in leading zeros or case, else None."""
    for what, advice, same in (
        ("leading zeros", "export the ids of both tables as text", pl.col("id").str.strip_chars_start("0")),
        ("upper and lower case", "write both the same way", pl.col("id").str.to_lowercase()),
    ):
        left = pl.DataFrame({"id": unknown}).with_columns(same=same)
        right = pl.DataFrame({"id": known}).with_columns(same=same).unique("same")
        both = left.join(right, on="same", how="inner", maintain_order="left")
        if len(both):
            return str(
                f"{len(both):,} unknown ids differ from known ids only in {what}, such as "
                f"{both['id'][0]!r} and {both['id_right'][0]!r}: {advice}"
            )
    return None
