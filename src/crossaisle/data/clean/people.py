"""User attributes: one spelling of bands, no words for "unknown", rare values of long attributes merged."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import polars as pl

from crossaisle.clean_config import Mode
from crossaisle.data.clean.report import Change, StepReport

ABSENT = frozenset({
    "unknown", "unspecified", "not given", "not specified", "not provided", "not available",
    "undisclosed", "prefer not to say", "no answer", "missing", "none", "null", "n/a", "na", "u", "?",
    "-", "--", "unbekannt", "keine angabe", "k.a.", "inconnu", "desconocido", "未知", "不详",
})  # fmt: skip
"""Words for "no value", in lower case."""
MOST_VALUES = 200
"""Attributes with more distinct values than this get their rare ones merged."""
KEPT_VALUES = 100
OTHER = "other"
_NUMBER = r"[$€£¥]?\s?(\d[\d.,]*)\s?([kKmM]?)"
_RANGE = re.compile(rf"^{_NUMBER}\s*(?:-|–|—|to|bis|~|à)\s*{_NUMBER}$")
_BELOW = re.compile(rf"^(?:under|below|less than|up to|unter|<|<=|≤)\s*{_NUMBER}$", re.IGNORECASE)
_ABOVE = re.compile(
    rf"^(?:(?:over|above|more than|über|>|>=|≥)\s*{_NUMBER}|"
    rf"{_NUMBER}\s*(?:\+|and over|and above|or more|plus))$",
    re.IGNORECASE,
)
_FACTOR = {"": 1.0, "k": 1e3, "m": 1e6}


def band(text: str) -> tuple[float | None, float | None] | None:
    """Lower and upper bound of a band such as `35-44`, `15-24K`, `Under 15K` or `65+`; None if it is not one.

    An open bound is None. A unit after the upper bound applies to both.
    """
    words = " ".join(text.split())
    if found := _RANGE.match(words):
        low, low_unit, high, high_unit = found.groups()
        return _number(low, low_unit or high_unit), _number(high, high_unit)
    if found := _BELOW.match(words):
        return None, _number(*found.groups())
    if found := _ABOVE.match(words):
        number, unit = next(
            (n, u) for n, u in zip(found.groups()[::2], found.groups()[1::2], strict=True) if n
        )
        return _number(number, unit), None
    return None


def spelt(low: float | None, high: float | None) -> str:
    """A band in its normal spelling: `35-44`, `15000-24000`, `<15000`, `65+`."""
    if low is None:
        return f"<{high:g}" if high is not None else ""
    return f"{low:.10g}+" if high is None else f"{low:.10g}-{high:.10g}"


def cleaned(users: pl.DataFrame, mode: Mode) -> tuple[pl.DataFrame, StepReport]:
    """Normalizes user attributes; `user_id` and numeric columns are left alone.

    Words for "no value" become null. If at least half of a column's values are bands, those are spelt one
    way. If a column has more than `MOST_VALUES` values, the `KEPT_VALUES` most frequent are kept and the
    others become "other"; a column whose values are nearly all distinct is left alone, as it holds names or
    ids.
    """
    start = time.perf_counter()
    changes: list[Change] = []
    facts = {}
    out = users
    for name in users.columns:
        if name == "user_id" or users[name].dtype != pl.String:
            continue
        before = users[name].to_list()
        after, facts[name] = _column(before)
        changes += [
            Change(name, row, b, a or "")
            for row, (b, a) in enumerate(zip(before, after, strict=True))
            if b is not None and a != b
        ]
        out = out.with_columns(pl.Series(name, after, dtype=pl.String))
    report = StepReport(
        name="users",
        setting=mode,
        rows_in=len(users),
        rows_out=len(users),
        changes=changes,
        facts=facts,
        seconds=time.perf_counter() - start,
    )
    return (out if mode == "on" else users), report


def _column(values: Sequence[str | None]) -> tuple[list[str | None], dict[str, object]]:
    here = [None if v is None or v.strip().lower() in ABSENT else v for v in values]
    distinct = {v for v in here if v is not None}
    bands = {v: found for v in distinct if (found := band(v)) is not None}
    of = {v: v for v in distinct}
    kind = "words"
    if distinct and 2 * len(bands) >= len(distinct):
        kind = "bands"
        of |= {v: spelt(*found) for v, found in bands.items()}
    elif len(distinct) > MOST_VALUES:
        counts = pl.Series(here, dtype=pl.String).drop_nulls().value_counts(sort=True)
        filled = int(counts["count"].sum())
        kind = "names" if 2 * len(distinct) > filled else "many values"
        if kind == "many values":
            keep = set(
                counts.sort("count", counts.columns[0], descending=[True, False])[counts.columns[0]][
                    :KEPT_VALUES
                ]
            )
            of |= dict.fromkeys(distinct - keep, OTHER)
    after = [None if v is None else of[v] for v in here]
    missing = sum(v is None for v in after)
    return after, {
        "kind": kind,
        "values": len(distinct),
        "values_after": len({v for v in after if v is not None}),
        "missing": missing,
    }


def _number(text: str, unit: str) -> float:
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", text).replace(",", ".").rstrip(".")
    return float(plain) * _FACTOR[unit.lower()]
