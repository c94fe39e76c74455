"""Every kind of bad input is a clear error, or is set aside with a reason."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import Imported, from_frames, import_dataset, import_frames
from crossaisle.data.ingest.ledger import spoken
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError

ITEMS = "item_id,title,categories,price\na,Apple,Food > Fruit,1.5\nb,Bread,Food > Bakery,2\nc,Comb,Care,3\n"
EVENTS = "user_id,item_id,time\n1,a,2024-01-01\n1,b,2024-01-02\n2,a,2024-01-01\n2,c,2024-01-05\n"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Writes items and events as given and imports them."""

    def run(
        events: str | bytes = EVENTS,
        items: str | bytes | None = ITEMS,
        *,
        event_file: str = "events.csv",
        item_file: str = "items.csv",
        out: Path | None = None,
        event_settings: dict[str, Any] | None = None,
        limits: ReadLimits = READ_LIMITS,
        **settings: Any,
    ) -> Imported:
        tables: dict[str, Any] = {"events": {"path": event_file, **(event_settings or {})}}
        write(tmp_path / event_file, events)
        if items is not None:
            write(tmp_path / item_file, items)
            tables["items"] = {"path": item_file}
        config = build(DataConfig, {**tables, **settings}, "test", base=tmp_path)
        done = import_dataset(config, out=out, limits=limits)
        for table in done.report["tables"].values():
            assert table["rows_read"] == table["rows_kept"] + sum(table["set_aside"].values())
        return done

    return run


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def aside(done: Imported, rule: str) -> pl.DataFrame:
    return done.rejected.filter(rule=rule, action="set aside")


def repaired(done: Imported, rule: str) -> pl.DataFrame:
    return done.rejected.filter(rule=rule, action="repaired")


def events_with(times: Sequence[object]) -> str:
    return "user_id,item_id,time\n" + "".join(f"1,a,{t}\n" for t in times)


# Files that cannot be used ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["events.csv", "events.tsv", "events.jsonl", "events.parquet"])
def test_empty_file(load: Any, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: the file is empty"):
        load(b"", event_file=name)


@pytest.mark.parametrize("text", ["\n\n", "\ufeff"])
def test_blank_file(load: Any, text: str) -> None:
    with pytest.raises(DataError, match=r"events\.csv"):
        load(text)


def test_header_only(load: Any) -> None:
    with pytest.raises(DataError, match=r"events\.csv: there is a header but no readable row"):
        load("user_id,item_id\n", items=None)
    with pytest.raises(DataError, match=r"items\.csv: there is a header but no readable row"):
        load(items="item_id,title\n")


def test_missing_file_names_the_nearest(load: Any, tmp_path: Path) -> None:
    load()
    config = build(DataConfig, {"events": {"path": "event.csv"}}, "test", base=tmp_path)
    with pytest.raises(DataError, match=r"event\.csv: no such file \(did you mean 'events\.csv'\?\)"):
        import_dataset(config)


def test_unknown_format(load: Any) -> None:
    with pytest.raises(ConfigError, match="unknown format: set format to"):
        load(event_file="events.bin")
    load(event_file="events.bin", event_settings={"format": "csv"})


def test_missing_column_names_the_nearest(load: Any) -> None:
    with pytest.raises(DataError, match=r"events\.csv, column 'item_id': no such column.*'itemid'"):
        load("user_id,itemid\n1,a\n")
    with pytest.raises(DataError, match=r"column 'customr': no such column \(did you mean 'customer'\?\)"):
        load("customer,item_id\n1,a\n", event_settings={"columns": {"user_id": "customr"}})
    with pytest.raises(DataError, match="events need a user or a basket"):
        load("item_id,time\na,2024-01-01\n")


def test_two_columns_of_one_name(load: Any) -> None:
    settings = {"columns": {"time": "t"}}
    with pytest.raises(DataError, match=r"column 't': two columns have this name"):
        load("user_id,item_id,t,t\n1,a,1,2\n", event_settings=settings)


def test_truncated_parquet(load: Any, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["1"] * 1000, "item_id": ["a"] * 1000}).write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for part in (whole[: len(whole) // 2], b"PAR1" + b"\0" * 40, whole[:-9] + b"\0\0\0\0\0PAR1"):
        with pytest.raises(DataError, match=r"events\.parquet: cannot be read as parquet"):
            load(part, event_file="events.parquet")


def test_truncated_gzip(load: Any) -> None:
    with pytest.raises(DataError, match=r"events\.csv\.gz: cannot be read"):
        load(gzip.compress(EVENTS.encode())[:-12], event_file="events.csv.gz")


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.csv", "events.csv.gz"])
def test_a_file_that_is_one_long_line_is_not_read_to_its_end(load: Any, name: str) -> None:
    line = b'{"user_id": "' + b"x" * 17_000_000 if "jsonl" in name else b"y" * 17_000_000
    with pytest.raises(DataError, match=rf"{name}, row 1: a line is longer than 16 MB"):
        load(gzip.compress(line) if name.endswith(".gz") else line, event_file=name)


@pytest.mark.parametrize("name", ["events.jsonl.gz", "events.csv.gz", "events.parquet.gz"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_given_up(load: Any, name: str) -> None:
    limits = ReadLimits(unpacked=1_000_000)
    start = EVENTS.encode() if "csv" in name else b'{"user_id": "1", "item_id": "a"}\n'
    bomb = gzip.compress(start + b"\n" * 20_000_000, 9)
    message = rf"{name}: unpacks to more than \d+ MB, 200 times its size: if this is expected, unpack it"
    with pytest.raises(DataError, match=message):
        load(bomb, event_file=name, limits=limits)
    with pytest.raises(DataError, match=message):
        load(bomb, event_file=name, event_settings={"encoding": "latin-1"}, limits=limits)
    marked = gzip.compress(b"\xef\xbb\xbf" + start + b"\n" * 20_000_000, 9)
    with pytest.raises(DataError, match=message):
        load(marked, event_file=name, limits=limits)


def test_damaged_gzip(load: Any) -> None:
    whole = bytearray(gzip.compress(EVENTS.encode() * 100))
    whole[20:40] = b"\xff" * 20
    with pytest.raises(DataError, match=r"events\.csv\.gz: cannot be read"):
        load(bytes(whole), event_file="events.csv.gz")


def test_no_event_can_be_kept(load: Any) -> None:
    with pytest.raises(DataError, match=r"none of 2 events can be kept: unknown_item 2"):
        load("user_id,item_id\n1,x\n2,y\n")


def test_open_quote(load: Any) -> None:
    with pytest.raises(DataError, match=r"events\.csv"):
        load('user_id,item_id\n1,"a\n' + "2,a\n" * 10)


def test_no_json(load: Any) -> None:
    with pytest.raises(DataError, match="no line holds a JSON object"):
        load("1\n2\n", event_file="events.jsonl")


# Rows that are set aside -----------------------------------------------------------------------------


def test_duplicate_items_keep_the_first(load: Any) -> None:
    done = load(items=ITEMS + "a,Apple,Food > Fruit,1.5\nb,Other bread,Food,9\n")
    assert done.dataset.items["title"].to_list() == ["Apple", "Bread", "Comb"]
    gone = aside(done, "duplicate_item_id")
    assert gone["row"].to_list() == [5, 6]
    assert gone["value"].to_list() == ["a", "b"]
    assert json.loads(gone["raw"][1])["title"] == "Other bread"


def test_events_of_unknown_items(load: Any) -> None:
    done = load(EVENTS + "3,zzz,2024-01-01\n")
    gone = aside(done, "unknown_item")
    assert gone.select("table", "row", "column", "value").row(0) == ("events", 6, "item_id", "zzz")
    assert "3" not in done.dataset.user_ids


def test_missing_ids(load: Any) -> None:
    done = load(EVENTS + ",a,2024-01-01\n1, ,2024-01-01\n", items=ITEMS + ",Nothing,Food,1\n")
    assert aside(done, "missing_user_id")["row"].to_list() == [6]
    assert aside(done, "missing_item_id")["row"].to_list() == [5, 7]


def test_bad_times(load: Any) -> None:
    future = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86_400))
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3_600))
    done = load(events_with(["2024-01-01", "yesterday", "2024-02-30", -5, "1960-01-01", future, "", soon]))
    assert aside(done, "unreadable_time")["value"].to_list() == ["yesterday", "2024-02-30"]
    assert aside(done, "negative_time")["row"].to_list() == [5, 6]
    assert aside(done, "future_time")["value"].to_list() == [future]
    assert aside(done, "missing_time")["row"].to_list() == [8]
    assert len(done.dataset.events) == 2


def test_mixed_epoch_units(load: Any) -> None:
    done = load(events_with([1_704_067_200, 1_704_067_201_500, 1_704_067_202]))
    assert done.dataset.events.time is not None
    assert done.dataset.events.time.tolist() == [1_704_067_200, 1_704_067_201, 1_704_067_202]
    assert any("mixes 2 seconds, 1 milliseconds" in w for w in done.report["warnings"])


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T10:00:00Z",
        "2024-01-01 10:00:00",
        "2024-01-01T11:30:00+01:30",
        "2024-01-01T10:00:00.250",
        "2024-01-01 10:00",
        "2024/01/01 10:00:00",
        "2024-01-01 10:00:00 UTC",
        "1704103200",
        "1704103200000",
        " 1704103200.5 ",
    ],
)
def test_ways_to_write_a_moment(load: Any, text: str) -> None:
    moments = load(events_with([text])).dataset.events.time
    assert moments.tolist() == [1_704_103_200]


def test_compact_days_and_given_formats(load: Any) -> None:
    days = load(events_with([20240131])).dataset.events.time
    assert days.tolist() == [1_706_659_200]
    european = load(events_with(["31.01.2024", "2024-01-31"]), time_unit="%d.%m.%Y")
    assert european.dataset.events.time.tolist() == [1_706_659_200]
    assert aside(european, "unreadable_time")["value"].to_list() == ["2024-01-31"]
    assert load(events_with([5]), time_unit="ms").dataset.events.time.tolist() == [0]


def test_an_order_that_was_mapped_to_time(load: Any) -> None:
    done = load(events_with([1, 2, 3]))
    assert any("map the column to position" in w for w in done.report["warnings"])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_ragged_rows_are_set_aside_with_their_row(load: Any, ending: str) -> None:
    text = (
        'user_id,item_id,time\n1,"a",2024-01-01\n1,a\n1,a,2024-01-01,more\n2,zz,2024-01-01\n2,b,2024-01-01\n'
    )
    done = load(text.replace("\n", ending))
    assert aside(done, "too_few_fields").select("row", "raw").row(0) == (3, "1,a")
    assert aside(done, "too_many_fields")["row"].to_list() == [4]
    assert aside(done, "unknown_item")["row"].to_list() == [5]
    assert len(done.dataset.events) == 2


def test_lines_that_are_not_json_objects(load: Any) -> None:
    lines = ['{"user_id": 1, "item_id": "a"}', "{broken", "[1]", "", '{"user_id": 2, "item_id": "zz"}']
    done = load("\n".join(lines), event_file="events.jsonl")
    assert aside(done, "not_a_json_object")["row"].to_list() == [2, 3]
    assert aside(done, "unknown_item")["row"].to_list() == [4]


def test_negative_quantity_and_unreadable_values(load: Any) -> None:
    text = "user_id,item_id,quantity,value\n1,a,-1,5\n1,a,two,NaN\n1,a,,inf\n1,b,2.5,7\n"
    done = load(text)
    assert done.dataset.raw.events.quantity.tolist() == [-1.0, 1.0, 1.0, 2.5]
    assert repaired(done, "unreadable_quantity")["value"].to_list() == ["two"]
    assert repaired(done, "unreadable_value")["row"].to_list() == [3, 4]
    assert done.dataset.events.quantity.tolist() == [1.0, 1.0, 2.5]
    assert np.isnan(done.dataset.events.value[:2]).all()


# Values that are repaired ----------------------------------------------------------------------------


def test_prices_that_are_no_prices(load: Any) -> None:
    rows = [("d", "NaN"), ("e", "inf"), ("f", "-1"), ("g", "free"), ("h", ""), ("i", " 4.5 ")]
    done = load(items=ITEMS + "".join(f"{i},T,Food,{p}\n" for i, p in rows))
    assert done.dataset.items["price"].to_list() == [1.5, 2.0, 3.0, None, None, None, None, None, 4.5]
    assert repaired(done, "unreadable_price")["value"].to_list() == ["NaN", "inf", "free"]
    assert repaired(done, "negative_price")["row"].to_list() == [7]


def test_ten_megabyte_title(load: Any) -> None:
    done = load(items=ITEMS + f"d,{'x' * 10_000_000},Food,1\n")
    assert done.dataset.items["title"].str.len_chars().to_list() == [5, 5, 4, 2_000]
    record = repaired(done, "title_cut_to_2000_characters")
    assert record["row"].to_list() == [5]
    assert len(record["value"][0]) == 200


def test_control_characters(load: Any) -> None:
    done = load(EVENTS + "1,\x00a,2024-02-01\n", items=ITEMS + "d,Dou\x07gh\x00nut,Food,1\n")
    assert done.dataset.items["title"][3] == "Doughnut"
    assert repaired(done, "control_characters")["row"].to_list() == [5]
    assert done.report["tables"]["events"]["repaired"] == {"control_characters": 1}
    assert len(done.dataset.events) == 5


def test_quoted_newlines(load: Any) -> None:
    done = load(items=ITEMS + '"d","Two\nlines","Food","1"\nd,Again,Food,1\n')
    assert done.dataset.items["title"][3] == "Two lines"
    assert aside(done, "duplicate_item_id")["row"].to_list() == [6]


def test_category_cycle_is_cut(load: Any) -> None:
    done = load(items=ITEMS + "d,T,Food > Bakery > Food > Fruit,1\n")
    assert done.dataset.taxonomy.paths[3] == (("Food", "Bakery"),)
    assert repaired(done, "category_cycle")["value"].to_list() == ["Food > Bakery > Food > Fruit"]


def test_contradicting_categories_are_said(load: Any) -> None:
    done = load(items=ITEMS + "d,T,Fruit > Food,1\n")
    assert any("'Food' and 'Fruit'" in w and "contradict" in w for w in done.report["warnings"])


# Encodings -------------------------------------------------------------------------------------------

CHINESE = "item_id,title,categories\na,全脂牛奶,饮料\nb,柑橘类水果,果蔬\nc,面包卷,西点\n"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_encodings_are_found(load: Any, encoding: str, found: str, zipped: bool) -> None:
    content = CHINESE.encode(encoding)
    name = "items.csv.gz" if zipped else "items.csv"
    done = load(items=gzip.compress(content) if zipped else content, item_file=name)
    assert done.report["tables"]["items"]["encoding"] == found
    assert done.dataset.items["title"].to_list() == ["全脂牛奶", "柑橘类水果", "面包卷"]


def test_windows_text_is_said_aloud(load: Any) -> None:
    text = "item_id,title\na,Crème brûlée\nb,Käse und Öl\nc,Naïve\n"
    done = load(items=text.encode("cp1252"))
    assert done.dataset.items["title"].to_list() == ["Crème brûlée", "Käse und Öl", "Naïve"]
    assert any("read as cp1252" in w for w in done.report["warnings"])
    odd = load(items=b"item_id,title\na,\x81\xe9 x\nb,B\nc,C\n")
    assert any("latin-1" in w for w in odd.report["warnings"])


def test_wrong_encoding_names_the_row(load: Any, tmp_path: Path) -> None:
    write(tmp_path / "items.csv", CHINESE.encode("gbk"))
    write(tmp_path / "events.csv", EVENTS)
    tables = {"items": {"path": "items.csv", "encoding": "utf-8"}, "events": {"path": "events.csv"}}
    with pytest.raises(DataError, match=r"items\.csv, row 2: not utf-8: byte 33 does not fit"):
        import_dataset(build(DataConfig, tables, "test", base=tmp_path))
    tables["items"]["encoding"] = "klingon"
    with pytest.raises(DataError, match="unknown encoding 'klingon'"):
        import_dataset(build(DataConfig, tables, "test", base=tmp_path))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(load: Any, delimiter: str) -> None:
    assert len(load(EVENTS.replace(",", delimiter)).dataset.events) == 4


# Small and odd shops ---------------------------------------------------------------------------------


def test_one_category_one_user_single_events(load: Any) -> None:
    items = "item_id,title,categories\na,Apple,Food\nb,Bread,Food\n"
    done = load("user_id,item_id\n1,a\n", items=items)
    text = " ".join(done.report["warnings"])
    assert "only one category ('Food')" in text
    assert "only one user" in text
    assert "1 of 1 users have a single event" in text
    assert done.report["category_depth"] == 1


def test_items_are_optional(load: Any) -> None:
    done = load(items=None)
    assert done.dataset.item_ids.all == ("a", "b", "c")
    assert any("no categories" in w for w in done.report["warnings"])


def test_baskets_without_users(load: Any) -> None:
    done = load("basket_id,item_id,position\nx,a,2\nx,b,1\ny,c,1\n")
    assert done.dataset.users_are_baskets
    assert done.dataset.user_ids.all == ("x", "y")
    assert [done.dataset.item_ids.id(i) for i in done.dataset.events.item] == ["b", "a", "c"]
    assert done.dataset.events.time is None


def test_positions_must_be_there(load: Any) -> None:
    done = load("user_id,item_id,position\n1,a,2\n1,b,\n1,c,last\n")
    assert aside(done, "missing_position")["row"].to_list() == [3]
    assert aside(done, "unreadable_position")["value"].to_list() == ["last"]


def test_rare_items_and_unwanted_categories(load: Any) -> None:
    done = load(EVENTS, min_users_per_item=2)
    assert done.dataset.item_ids.all == ("a",)
    assert aside(done, "fewer_than_2_users")["table"].to_list() == ["items", "items", "events", "events"]
    assert aside(done, "fewer_than_2_users")["row"].to_list() == [3, 4, 3, 5]
    done = load(EVENTS, exclude_categories=["food"])
    assert done.dataset.item_ids.all == ("c",)
    assert aside(done, "excluded_category")["row"].to_list() == [2, 3]
    assert aside(done, "excluded_item")["row"].to_list() == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"exclude_categories: unknown category 'Foot'"):
        load(EVENTS, exclude_categories=["Foot"])
    with pytest.raises(DataError, match="lower min_users_per_item"):
        load(EVENTS, min_users_per_item=9)


def test_required_categories(load: Any) -> None:
    done = load(items=ITEMS.replace("Care", ""), require_category=True)
    assert aside(done, "no_category")["row"].to_list() == [4]
    assert len(aside(done, "excluded_item")) == 1


def test_event_kinds(load: Any) -> None:
    done = load("user_id,item_id,kind\n1,a,View\n1,a,purchase\n1,b,\n2,b,view\n")
    assert done.dataset.kinds == ("view", "purchase")
    assert done.dataset.events.kind.tolist() == [0, 1, 1, 0]
    many = "".join(f"1,a,k{i}\n" for i in range(200))
    with pytest.raises(DataError, match="200 kinds of events"):
        load("user_id,item_id,kind\n" + many)


def test_category_level_by_name() -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "top": ["A", "A"], "low": ["X", None]})
    events = pl.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"]})
    columns = {"items": {"categories": ["top", "low"]}}
    shop = import_frames(items, events, columns=columns, category_level="low").dataset
    assert shop.taxonomy.level == 1
    assert shop.taxonomy.paths == ((("A", "X"),), (("A",),))
    with pytest.raises(ConfigError, match=r"no such column 'lo' \(did you mean 'low'\?\)"):
        import_frames(items, events, columns=columns, category_level="lo")


def test_report_and_rejected_rows_are_written(load: Any, tmp_path: Path) -> None:
    done = load(EVENTS + "3,zzz,2024-01-01\n", out=tmp_path / "run")
    report = json.loads((tmp_path / "run/import/report.json").read_text())
    assert report == done.report
    assert report["tables"]["events"]["set_aside"] == {"unknown_item": 1}
    assert report["time"] == ["2024-01-01T00:00:00", "2024-01-05T00:00:00"]
    assert pl.read_parquet(tmp_path / "run/import/rejected.parquet").equals(done.rejected)


def test_pictures_are_looked_for_beside_the_items(load: Any, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    write(tmp_path / "pics" / "a.jpg", b"x")
    elsewhere = "https://shop.example/b.jpg"
    done = load(items=f"item_id,image\na,pics/a.jpg\nb,{elsewhere}\nc,pics/none.jpg\n")
    images = done.dataset.items["image"].to_list()
    assert images == [str(tmp_path / "pics" / "a.jpg"), elsewhere, "pics/none.jpg"]


def test_what_happened_is_told_in_sentences(load: Any) -> None:
    done = load(EVENTS + "3,zzz,2024-01-01\n", items=ITEMS + "d,T,Food,free\n")
    told = spoken(done.report)
    assert "events: 4 of 5 rows kept; set aside: unknown_item 1" in told
    assert "items: values repaired: unreadable_price 1" in told
    assert "note: there is only one user: nothing can be learned from other users" in spoken(
        load(events_with(["2024-01-01"])).report
    )


def test_frames_that_lose_rows_warn() -> None:
    events = pl.DataFrame({"user_id": [1, None], "item_id": ["a", "a"]})
    with pytest.warns(UserWarning, match=r"events: 1 of 2 rows set aside \(missing_user_id 1\)"):
        from_frames(None, events)
    with pytest.raises(DataError, match="must be a pandas, polars or pyarrow table"):
        from_frames(None, [1, 2])
    with pytest.raises(ConfigError, match=r"unknown table 'event' \(did you mean 'events'\?\)"):
        from_frames(None, events, columns={"event": {}})
