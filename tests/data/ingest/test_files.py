"""Which files a table may consist of, and what its text may look like."""

from __future__ import annotations

import gzip
import itertools
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError
from tests.data.ingest.shops import import_texts, warned

HEADER = "user_id,item_id,time\n"
MONTHS = {
    "2024-09.csv": "1,a,2024-09-01\n2,b,2024-09-02\n",
    "2024-10.csv": "1,c,2024-10-01\nx\n,a,2024-10-02\n",
    "2024-11.csv": "3,a,2024-11-01\n",
}


def load(folder: Path, **events: Any) -> Imported:
    return import_dataset(build(DataConfig, {"events": events}, "test", base=folder))


@pytest.fixture
def months(tmp_path: Path) -> Path:
    for name, rows in MONTHS.items():
        (tmp_path / name).write_text(HEADER + rows)
    return tmp_path


@pytest.mark.parametrize("path", ["2024-*.csv", list(MONTHS), ".", ["2024-09.csv", "2024-1?.csv"]])
def test_several_files_are_one_table(months: Path, path: Any) -> None:
    done = load(months, path=path)
    assert len(done.dataset.raw.events) == 4
    table = done.report["tables"]["events"]
    assert (table["rows_read"], table["rows_kept"]) == (6, 4)
    assert table["files"] == [str(months / name) for name in MONTHS]
    rejected = done.rejected.select("file", "row", "rule").sort("row").rows()
    october = str(months / "2024-10.csv")
    assert rejected == [(october, 3, "too_few_fields"), (october, 4, "missing_user_id")]


def test_a_column_that_one_file_lacks_is_empty_there(months: Path) -> None:
    (months / "2024-09.csv").write_text("item_id,user_id,time,kind\na,1,2024-09-01,view\n")
    done = load(months, path="2024-*.csv")
    assert sorted(done.dataset.kinds) == ["purchase", "view"]
    assert warned(done, "2024-10.csv: has no column 'kind', so it is empty there")


def test_only_the_first_of_several_files_has_a_header(months: Path) -> None:
    for name in ("2024-10.csv", "2024-11.csv"):
        (months / name).write_text(MONTHS[name])
    done = load(months, path="2024-*.csv")
    assert len(done.dataset.raw.events) == 4
    assert warned(done, "2024-11.csv: has no header; its columns are taken from")
    assert not warned(done, "looks like data")
    rejected = done.rejected.select("row", "rule").sort("row").rows()
    assert rejected == [(2, "too_few_fields"), (3, "missing_user_id")]


def test_a_zip_file_holds_tables(months: Path) -> None:
    with zipfile.ZipFile(months / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MONTHS:
            archive.write(months / name, f"export/{name}")
        archive.writestr("__MACOSX/export/._2024-09.csv", "dirt")
        archive.writestr("readme.md", "words")
    assert len(load(months, path="all.zip").dataset.raw.events) == 4
    done = load(months, path="all.zip/export/2024-09.csv")
    assert len(done.dataset.raw.events) == 2
    assert done.report["tables"]["events"]["file"].endswith("all.zip/export/2024-09.csv")
    assert len(load(months, path="all.zip/export/2024-*.csv").dataset.raw.events) == 4
    with pytest.raises(DataError, match=r"all\.zip: the zip file holds no file 'other\.csv'"):
        load(months, path="all.zip/other.csv")
    (months / "bad.zip").write_bytes((months / "all.zip").read_bytes()[:100])
    with pytest.raises(DataError, match=r"bad\.zip: cannot be read as a zip file"):
        load(months, path="bad.zip")


def test_a_folder_of_parquet_parts(tmp_path: Path) -> None:
    folder = tmp_path / "events.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").write_text("")
    # what wrote them made the user a number where every one is known, and a text where not
    pl.DataFrame({"user_id": [1, 2], "item_id": ["a", "b"]}).write_parquet(folder / "part-0.snappy.parquet")
    pl.DataFrame({"user_id": ["1", "x"], "item_id": ["b", "c"]}).write_parquet(folder / "part-1.parquet")
    done = load(tmp_path, path="events.parquet")
    assert list(done.dataset.user_ids.all) == ["1", "2", "x"]
    assert load(tmp_path, path="events.parquet/*.parquet").report["events"] == 4


def test_files_that_are_no_table_are_named(tmp_path: Path, months: Path) -> None:
    (months / "extra.jsonl").write_text('{"user_id": 1}\n')
    with pytest.raises(DataError, match=r"files of several formats \(3 csv, 1 jsonl\)"):
        load(months, path=".")
    with pytest.raises(DataError, match=r"2023-\*\.csv: no file fits the pattern"):
        load(months, path="2023-*.csv")
    (months / "none").mkdir()
    with pytest.raises(DataError, match=r"none: the folder holds no table file"):
        load(months, path="none")
    with pytest.raises(ConfigError, match="path must name at least one file"):
        load(months, path=[])


TAOBAO = "502,1000,107,pv,1725185520\n510,1032,107,buy,1725242160\n502,1032,107,pv,1725242161\n"
NAMES = ["user_id", "item_id", "category", "kind", "time"]


def test_a_file_without_header(tmp_path: Path) -> None:
    done = import_texts(tmp_path, events=TAOBAO, events_are={"header": False, "names": NAMES})
    assert len(done.dataset.raw.events) == 3
    assert list(done.dataset.user_ids.all) == ["502", "510"]
    columns = {"user_id": "1", "item_id": "2", "kind": "4", "time": "5"}
    again = import_texts(tmp_path, events=TAOBAO, events_are={"header": False, "columns": columns})
    assert again.dataset.kinds == done.dataset.kinds == ("pv", "buy")
    assert again.rejected.is_empty()


def test_the_first_line_of_a_file_without_header_is_missed(tmp_path: Path) -> None:
    columns = {"user_id": "502", "item_id": "1000", "kind": "pv", "time": "1725185520"}
    done = import_texts(tmp_path, events=TAOBAO, events_are={"columns": columns})
    assert warned(done, "the first line looks like data (502, 1000, 107, pv, 1725185520)")
    with pytest.raises(DataError, match=r"no such column \(the first line looks like data: .*header = false"):
        import_texts(tmp_path, events=TAOBAO)
    with pytest.raises(DataError, match=r"no such column \(the first line looks like data: alice, milk, 20"):
        import_texts(tmp_path, events="alice,milk,2024-01-01\nbob,rye,2024-01-02\n")
    columns = {"user_id": "501", "item_id": "501", "time": "1725300000"}
    same = "501,501,5,1725300000\n502,3,5,1725300001\n"
    with pytest.raises(DataError, match=r"two columns have this name \(the first line looks like data"):
        import_texts(tmp_path, events=same, events_are={"columns": columns})


def test_names_instead_of_those_of_the_header(tmp_path: Path) -> None:
    text = 'Kunde,"Art\nikel",\n1,a,2024-01-01\nbad\n2,b,2024-01-02\n'
    done = import_texts(tmp_path, events=text, events_are={"names": ["user_id", "item_id", "time"]})
    assert list(done.dataset.item_ids.all) == ["a", "b"]
    assert done.report["tables"]["events"]["set_aside"] == {"too_few_fields": 1}
    with pytest.raises(DataError, match=r"the first line has 3 values .*, names has 2"):
        import_texts(tmp_path, events=text, events_are={"names": ["user_id", "item_id"]})
    with pytest.raises(ConfigError, match="names must differ"):
        import_texts(tmp_path, events=text, events_are={"names": ["a", "a", "b"]})


@pytest.mark.parametrize("delimiter", ["::", "||", "<sep>", " | "])
def test_a_delimiter_of_several_characters(tmp_path: Path, delimiter: str) -> None:
    rows = [(str(n), f"m:{n % 7}", str(1 + n % 5), str(978_300_000 + n)) for n in range(500)]
    text = "".join(delimiter.join(row) + "\n" for row in [*rows, ("1", "2")])
    settings = {"header": False, "names": ["user_id", "item_id", "value", "time"], "delimiter": delimiter}
    done = import_texts(tmp_path, events=text, events_are=settings)
    assert len(done.dataset.raw.events) == 500
    assert set(done.dataset.item_ids.all) == {f"m:{n}" for n in range(7)}
    [(row, raw)] = done.rejected.select("row", "raw").rows()
    assert (row, raw) == (501, delimiter.join(("1", "2")))


def test_a_long_delimiter_is_found_where_blocks_are_cut(tmp_path: Path) -> None:
    from crossaisle.data.ingest.readers.delimited import _CountedLines

    class Chunks:
        def __init__(self, size: int) -> None:
            self.left, self.size = b"1::2::3\n4::5:::6\n7:8::9::0\n", size

        def read(self, _: int = -1) -> bytes:
            out, self.left = self.left[: self.size], self.left[self.size :]
            return out

    expected = Chunks(99).read().replace(b"::", b"\x1f")
    for size in range(1, 12):
        stream, out = _CountedLines(Chunks(size), "::"), b""
        while chunk := stream.read(1):
            out += chunk
        assert out == expected, size


def test_movielens_is_read_as_it_stands(tmp_path: Path) -> None:
    text = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"
    settings = {"format": "csv", "header": False, "names": ["user_id", "item_id", "value", "time"]}
    done = import_texts(tmp_path, events=text, events_file="ratings.dat", events_are=settings)
    assert list(done.dataset.item_ids.all) == ["1193", "661"]


JSON_ROWS = [
    {"user_id": n % 3, "item_id": f"i{n % 5}", "time": "2024-01-01", "more": None} for n in range(20)
]


@pytest.mark.parametrize("form", ["lines", "array", "pretty", "python"])
def test_json_as_lines_as_an_array_and_as_python_writes_it(tmp_path: Path, form: str) -> None:
    texts = {
        "lines": "\n".join(json.dumps(row) for row in JSON_ROWS),
        "array": json.dumps(JSON_ROWS),
        "pretty": json.dumps(JSON_ROWS, indent=1),
        "python": "\n".join(str(row) for row in JSON_ROWS),
    }
    done = import_texts(tmp_path, events=texts[form], events_file="events.json")
    assert len(done.dataset.raw.events) == 20
    assert done.rejected.is_empty()


def test_a_broken_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither one JSON object per line nor a JSON array"):
        import_texts(tmp_path, events='[{"user_id": 1},\n', events_file="events.json")


def test_packed_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for n in range(3):
        text = HEADER + f"{n},a,2024-01-01\n"
        (tmp_path / "parts" / f"part-{n}.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert load(tmp_path, path="parts").dataset.n_users == 3


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["u", "v", "", "NA"]),
        st.sampled_from(["a", "b", "[1, 2]", "7.0", ""]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.lists(st.integers(0, 15), max_size=3))
def test_it_does_not_matter_where_a_table_is_cut_into_files(rows: list[Any], cuts: list[int]) -> None:
    def outcome(folder: Path, parts: list[list[Any]]) -> Any:
        folder.mkdir()
        for number, part in enumerate(parts):
            pl.DataFrame(part, schema=["user_id", "item_id", "position"], orient="row").write_csv(
                folder / f"{number}.csv", quote_style="always"
            )
        try:
            done = load(folder.parent, path=folder.name)
        except DataError as error:
            return type(error)
        gone = done.rejected.filter(action="set aside")
        table = done.report["tables"]["events"]
        assert gone.height + table["rows_kept"] == len(rows)
        for file, row, rule in gone.select("file", "row", "rule").iter_rows():
            user, item, _ = parts[int(Path(file).stem)][row - 2]
            assert rule in ("missing_user_id", "missing_item_id", "list_as_id")
            assert user in ("", "NA") or item in ("", "[1, 2]")
        shop = done.dataset.raw
        events = shop.events
        ids = [
            (shop.user_ids.all[u], shop.item_ids.all[i])
            for u, i in zip(events.user, events.item, strict=True)
        ]
        return ids, table["set_aside"], table["repaired"]

    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[a:b] for a, b in itertools.pairwise(edges)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        assert outcome(folder / "many", parts) == outcome(folder / "one", [rows])


@pytest.mark.parametrize("path", ["log", "log/*", "log/date=2024-*/*/part.parquet", ["log/*"]])
def test_folders_whose_names_hold_columns(tmp_path: Path, path: Any) -> None:
    for day, who in (
        ("2024-01-01", "ann"),
        ("2024-01-02", "bob%20b"),
        ("2024-01-03", "__HIVE_DEFAULT_PARTITION__"),
    ):
        folder = tmp_path / "log" / f"date={day}" / f"user_id={who}"
        folder.mkdir(parents=True)
        pl.DataFrame({"item_id": ["a", "b"]}).write_parquet(folder / "part.parquet")
    done = load(tmp_path, path=path, columns={"time": "date"})
    assert list(done.dataset.user_ids.all) == ["ann", "bob b"]
    assert done.report["time"] == ["2024-01-01T00:00:00", "2024-01-02T00:00:00"]
    assert done.rejected.select("rule", "row").rows() == [("missing_user_id", 1), ("missing_user_id", 2)]


def test_a_column_of_the_file_counts_more_than_its_folder(tmp_path: Path) -> None:
    (tmp_path / "log" / "user_id=folder").mkdir(parents=True)
    (tmp_path / "log" / "user_id=folder" / "x.csv").write_text("user_id,item_id\nfile,a\n")
    assert list(load(tmp_path, path="log").dataset.user_ids.all) == ["file"]


def test_what_crossaisle_wrote_is_no_table(months: Path) -> None:
    load(months, path="2024-*.csv")
    run, model = months / "runs" / "one", months / "model"
    for folder, marked in (
        (run, "run.json"),
        (model, "manifest.json"),
        (months / "import", "rejected.parquet"),
    ):
        (folder / "deep").mkdir(parents=True)
        (folder / marked).write_text('{"format": "crossaisle"}')
        (folder / "deep" / "lists.csv").write_text("a,b\n1,2\n")
    done = load(months, path=".")
    assert len(done.dataset.raw.events) == 4
    assert warned(done, "left out, written by crossaisle (3): import, model, runs/one")
