"""Recognizes columns of an event log by their values, where names do not: times, and ids of guests."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from crossaisle.data.exports.files import Given
from crossaisle.data.exports.sampling import tidied
from crossaisle.data.exports.words import VISITS, compared
from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.values.moments import Clock, how_to_read

_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
FEW = 0.01
"""Share of the first rows that may have neither user nor guest id without a remark."""


def time_column(file: Given, columns: Mapping[str, str]) -> str | None:
    """The otherwise unused column of dates or times; of several, the one with the most values.

    Plain numbers do not count: prices, amounts and seconds since 1970 look alike.
    """
    free = [name for name in file.names if name not in columns.values()]
    found = {}
    for name, values in tidied(file.sample(columns=free)).items():
        seen = values.drop_nulls().unique(maintain_order=True)
        if len(seen) and seen.str.contains(_DATE).all() and is_readable(seen):
            found[name] = (len(values) - values.null_count(), len(seen))
    return max(found, key=lambda name: found[name], default=None)


def is_readable(times: pl.Series) -> bool:
    """Whether all texts are times that an import can parse, with or without `time_unit`."""
    return bool(Clock().read(texts(times))[1].all()) or how_to_read(times).startswith("set time_unit to '%")


def guests_of(file: Given, columns: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """The column that identifies guests, that is, visitors who are not known users; and remarks on it.

    Most rows of a visit log have no order: if they name neither user nor basket, they name a session.
    """
    user, basket = columns["user_id"], columns.get("basket_id")
    taken = set(columns.values()) - {basket}
    plain = {compared(name): name for name in file.names if name not in taken}
    rivals = [plain[visit] for visit in VISITS if visit in plain and plain[visit] != basket]
    rows = file.sample(columns=[user, *rivals, *([basket] if basket else [])])
    share = {name: _nobody(rows, user, name) for name in rivals}
    best, left = basket, _nobody(rows, user, basket)
    remarks = []
    for name in rivals:
        if share[name] < left - FEW:
            best, left = name, share[name]
    if best is not None and best != basket:
        remarks.append(f"UNSURE: guests are told apart by {best!r}; each is a history of its own")
    if left > FEW:
        remarks.append(
            f"UNSURE: {left:.0%} of the first rows name neither user nor basket: they are set aside"
        )
    return best, remarks


def _nobody(rows: pl.DataFrame, user: str, basket: str | None) -> float:
    """Share of the rows with neither user nor basket."""
    clean = tidied(rows)
    both = [clean[name].is_null() for name in (user, basket) if name in clean]
    if not len(rows) or not both:
        return 0.0
    return int(pl.DataFrame(both).select(pl.all_horizontal(pl.all())).to_series().sum()) / len(rows)
