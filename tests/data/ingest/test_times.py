"""Ways to write a moment: right, or refused with a value and the setting that reads it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.config import DataConfig
from crossaisle.data.ingest.values.moments import Clock, how_to_read
from crossaisle.errors import ConfigError, DataError
from tests.data.ingest.shops import import_texts, warned

MOMENT = datetime(2024, 3, 7, 15, 5, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


def read(*texts: str, unit: str | None = None) -> list[int | None]:
    """Seconds since 1970, None where unreadable."""
    micros, known = Clock(unit).read(pl.Series(texts, dtype=pl.String).to_arrow())
    return [int(m) // 1_000_000 if k else None for m, k in zip(micros, known, strict=True)]


def table(*times: str) -> str:
    return "user_id,item_id,time\n" + "".join(f'1,a,"{t}"\n' for t in times)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("%d.%m.%Y %H:%M", "7.3.2024 15:05"),
        ("%d.%m.%Y %H:%M", "07.03.2024 15:05"),
        ("%-d.%-m.%Y %-H:%M", "7.3.2024 15:05"),
        ("%d.%m.%Y %k:%M", "7.3.2024 15:05"),
        ("%d.%m.%Y %R", "7.3.2024 15:05"),
        ("%m/%d/%Y %I:%M %p", "3/7/2024 3:05 PM"),
        ("%m/%d/%Y %I:%M %p", "03/07/2024 03:05 pm"),
        ("%m/%d/%Y %l:%M %p", "3/7/2024 3:05 PM"),
        ("%d %b %Y, %H:%M", "7 Mar 2024, 15:05"),
        ("%a, %d %b %Y %H:%M:%S %z", "Thu, 07 Mar 2024 17:05:00 +0200"),
        (None, "Thu, 07 Mar 2024 17:05:00 +0200"),
        (None, "2024-3-7 15:5"),
        (None, "2024/3/7 15:05"),
        (None, "2024-03-07 17:05:00 +0200"),
        (None, "2024-03-07 15:05:00.000000+00"),
        (None, "20240307150500"),
        ("excel", "45358.628472223"),
    ],
)
def test_ways_to_write_a_moment(unit: str | None, text: str) -> None:
    assert read(text, unit=unit) == [SECONDS]


FORMATS = (
    *("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S", "%d/%m/%y %H:%M"),
)


@settings(deadline=None)
@given(
    st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2024, 1, 1)), min_size=1, max_size=5),
    st.sampled_from(FORMATS),
    st.booleans(),
)
def test_formats_read_what_they_write(moments: list[datetime], unit: str, padded: bool) -> None:
    kept = [m.replace(second=m.second if "%S" in unit else 0, microsecond=0, tzinfo=UTC) for m in moments]
    pattern = unit if padded else unit.replace("%d", "%-d").replace("%m", "%-m").replace("%I", "%-I")
    texts = [m.strftime(pattern) for m in kept]
    assert read(*texts, unit=unit) == [int(m.timestamp()) for m in kept]


@pytest.mark.parametrize("text", ["7.3.2024", "7.3.2024 25:05", "32.3.2024 15:05", "7.3.2024 15:05 PM", "x"])
def test_what_does_not_follow_the_format(text: str) -> None:
    assert read(text, unit="%d.%m.%Y %H:%M") == [None]


@pytest.mark.parametrize("unit", ["%d.%m.%Y %I:%M", "%Y-%m-%d %H"])
def test_a_format_that_reads_no_moment(unit: str) -> None:
    with pytest.raises(ConfigError, match=r"\[data\]: time_unit: .* cannot read any time"):
        Clock(unit)


def test_years_of_two_digits_are_not_those_of_antiquity(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"lie before 1970, such as '17\.3\.24': set time_unit to '%d\.%m\.%y'"
    ):
        import_texts(tmp_path, events=table("17.3.24"), time_unit="%d.%m.%Y")


def test_names_of_time_zones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names of time zones .* read them with %z"):
        DataConfig(time_unit="%Y-%m-%d %H:%M:%S %Z")
    with pytest.raises(
        DataError,
        match=r"1 of 1 times cannot be read, such as '2024-03-07 15:05:00 CET': names of time zones cannot",
    ):
        import_texts(tmp_path, events=table("2024-03-07 15:05:00 CET"))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("3/17/2024 3:05 PM", "%m/%d/%Y %I:%M %p"),
        ("17/03/2024 15:05", "%d/%m/%Y %H:%M"),
        ("17.3.2024 15:05", "%d.%m.%Y %H:%M"),
        ("17. March 2024", "%d. %B %Y"),
    ],
)
def test_an_unreadable_column_names_the_format(tmp_path: Path, text: str, unit: str) -> None:
    with pytest.raises(DataError, match="column 'time'") as caught:
        import_texts(tmp_path, events=table(text, text))
    assert repr(text) in str(caught.value)
    assert f"set time_unit to {unit!r}" in str(caught.value)
    done = import_texts(tmp_path, events=table(text, text), time_unit=unit)
    assert len(done.dataset.events) == 2


def test_a_day_that_may_be_a_month_is_left_to_the_shop() -> None:
    assert how_to_read(pl.Series(["03/04/2024"])) == "set time_unit to '%d/%m/%Y' or '%m/%d/%Y'"


def test_the_wrong_format_is_said(tmp_path: Path) -> None:
    days = table("05/03/2024 10:00", "17/03/2024 10:00")
    mostly = table("05/03/2024 10:00", "17/03/2024 10:00", "18/03/2024 10:00")
    with pytest.raises(DataError, match="2 of 3 times cannot be read, such as '17/03/2024 10:00': set time"):
        import_texts(tmp_path, events=mostly, time_unit="%m/%d/%Y %H:%M")
    done = import_texts(tmp_path, events=days, time_unit="%m/%d/%Y %H:%M")
    assert warned(done, "1 of 2 times cannot be read, such as '17/03/2024 10:00': set time_unit to '%d/%m/%Y")


def test_days_of_a_spreadsheet_are_refused(tmp_path: Path) -> None:
    times = [f"{45_000 + i / 7:.6f}" for i in range(10)]
    with pytest.raises(DataError, match="set time_unit to 'excel'"):
        import_texts(tmp_path, events=table(*times))
    done = import_texts(tmp_path, events=table(*times), time_unit="excel")
    assert done.report["time"] == ["2023-03-15T00:00:00", "2023-03-16T06:51:25"]
    assert len(import_texts(tmp_path, events=table(*times), time_unit="s").dataset.events) == 10


def test_mixed_offsets() -> None:
    offsets = ["Z", "+02:00", "", "-05:00"]
    hours = [0, 2, 0, -5]
    texts = [
        (MOMENT + timedelta(hours=h)).strftime("%Y-%m-%dT%H:%M:%S") + o
        for h, o in zip(hours, offsets, strict=True)
    ]
    assert read(*texts) == [SECONDS] * 4
    assert all(read(*pair) == [SECONDS] * 2 for pair in itertools.permutations(texts, 2))
    assert np.array_equal(read(*texts * 3), [SECONDS] * 12)
