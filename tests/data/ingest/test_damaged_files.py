"""Odd and damaged files: one clear line each, and the others are read."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pytest

from crossaisle.config import DataConfig
from crossaisle.data.exports.files import Files
from crossaisle.data.exports.known import draft_of, draft_of_folder
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError
from tests.data.ingest.shops import warned

LOG = "user_id,item_id\n1,a\n2,b\n"
BROKEN_SUM = "user_id,item_id\n7,z\n"


def load(path: Path, **events: Any) -> Imported:
    return import_dataset(build(DataConfig, {"events": {"path": path, **events}}, "test"))


def damaged_member(path: Path) -> None:
    """A zip file whose one member does not have the content that its checksum tells."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("log.csv", BROKEN_SUM)
    path.write_bytes(path.read_bytes().replace(b"7,z", b"8,z"))


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


DAMAGED: dict[str, tuple[bytes, str]] = {
    "bad.zip": (b"PK\x03\x04" + b"x" * 200, "cannot be read as a zip file"),
    "nul.csv": (b"\0" * 500, "NUL bytes in the first line: this is not a text file, or it is damaged"),
    "appended.csv.gz": (
        gzip.compress(LOG.encode()) + b"garbage",
        "trailing bytes are not gzip: the file is damaged, or something was appended",
    ),
    "cut.csv.gz": (gzip.compress(LOG.encode() * 1000)[:-20], "ended before the end-of-stream marker"),
    "no.csv.gz": (b"user_id,item_id\n1,a\n", "Not a gzipped file"),
    "marks.csv": (
        b"\xef\xbb\xbf" + LOG.encode("utf-16"),
        "row 1: begins with the byte order mark of utf-8, but byte 3 is not utf-8",
    ),
    "cut.parquet": (b"PAR1xxxx", "cannot be read as parquet"),
    "cut.json": (b'[{"a": 1},', "neither one JSON object per line nor a JSON array"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    content, reason = DAMAGED[name]
    path = put(tmp_path / name, content)
    with pytest.raises(DataError) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert reason in str(error.value)


@pytest.mark.parametrize("name", [*DAMAGED, "sum.zip"])
def test_of_many_files_the_others_are_read(tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "in" / name
    put(damaged, DAMAGED[name][0]) if name in DAMAGED else damaged_member(put(damaged, b""))
    put(tmp_path / "in" / "z.csv", LOG)
    draft = draft_of_folder(tmp_path / "in")
    assert draft.tables["events"]["path"] == str(tmp_path / "in" / "z.csv")
    assert any(r.startswith(f"UNSURE: not read: {damaged}") for r in draft.remarks)


def test_a_name_that_leads_out_of_the_zip_file(tmp_path: Path) -> None:
    path = tmp_path / "logs.zip"
    outside = ["../../evil.csv", "/etc/evil.csv", "C:/evil.csv", "a\\..\\..\\evil.csv"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*outside, "ok.csv"):
            archive.writestr(name, LOG)
        archive.writestr("picture.png", "x")
        archive.writestr("none.csv", "")
    done = load(path)
    assert len(done.dataset.raw.events) == 2
    assert warned(done, "with paths outside the zip file (4): ../../evil.csv, /etc/evil.csv")
    assert warned(done, "left out, of unknown format (1): picture.png")
    assert warned(done, "left out, empty (1): none.csv")


def test_what_a_folder_holds_beside_tables_is_said(tmp_path: Path) -> None:
    for name, content in {"a.csv": LOG, "b.csv": "", "c.xlsx": "PK"}.items():
        put(tmp_path / "logs" / name, content)
    done = load(tmp_path / "logs")
    assert warned(done, "logs: left out, of unknown format (1): c.xlsx")
    assert warned(done, "logs: left out, empty (1): b.csv")
    with pytest.raises(DataError, match=r"c\.xlsx: cannot be read as a workbook"):
        load(tmp_path / "logs" / "c.xlsx")
    with pytest.raises(ConfigError, match=r"d\.numbers: unknown format: save it as CSV"):
        load(put(tmp_path / "logs" / "d.numbers", "PK"))


def test_a_folder_called_like_a_file(tmp_path: Path) -> None:
    put(tmp_path / "log.csv" / "part-0.csv", LOG)
    assert len(load(tmp_path / "log.csv").dataset.raw.events) == 2
    (tmp_path / "none.csv").mkdir()
    with pytest.raises(DataError, match=r"none\.csv: the folder holds no table file"):
        load(tmp_path / "none.csv")
    put(tmp_path / "empty.csv" / "part-0.csv", "")
    with pytest.raises(DataError, match=r"empty\.csv: the folder holds only empty files"):
        load(tmp_path / "empty.csv")


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_of_dat_files_in_a_folder_or_a_zip_file(tmp_path: Path, packed: bool) -> None:
    files = {
        "ml-1m/ratings.dat": "1::10::5::978300760\n2::11::3::978300761\n",
        "ml-1m/movies.dat": "10::Heat (1995)::Action|Crime\n11::Babe (1995)::Comedy\n",
    }
    place = tmp_path / "ml"
    if packed:
        place = tmp_path / "ml.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        for name, text in files.items():
            put(place / name, text)
    draft = draft_of("movielens", [place])
    assert set(draft.tables) == {"items", "events"}
    assert draft.tables["items"]["path"] == str(place / "ml-1m/movies.dat")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"keep": {}}, "keep must name a column and its values"),
        ({"drop": {"kind": []}}, "drop must give 'kind' at least one value; '' is an empty cell"),
        ({"path": ""}, r"path: must be a path or a list \(found ''\)"),
        ({"path": [""]}, r"path: must be a path \(found ''\)"),
        ({"names": ["user_id", ""]}, "names must not be empty"),
        ({"join": [{"path": "x.csv", "on": "a", "keep": {}}]}, "keep must name a column"),
    ],
)
def test_empty_choices(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(**{"path": put(tmp_path / "log.csv", LOG), **settings})


def test_a_table_of_many_columns(tmp_path: Path) -> None:
    wide = [f"c{n}" for n in range(1_500)]
    rows = [",".join([f"i{r}", f"Thing {r}", *("7" for _ in wide), f"s{r}"]) for r in range(300)]
    put(tmp_path / "in" / "items.csv", "\n".join([",".join(["id", "title", *wide, "code"]), *rows]) + "\n")
    put(tmp_path / "in" / "log.csv", "user_id,item_id\n" + "".join(f"u,s{r}\n" for r in range(290, 300)))
    draft = draft_of_folder(tmp_path / "in")
    assert draft.tables["items"]["columns"] == {"item_id": "code", "title": "title"}
    assert not any("only" in remark for remark in draft.remarks)
    given = next(f for f in Files([tmp_path / "in"]).left if f.stem == "items.csv")
    assert given.sample().shape == (133, 1_503)
    assert given.sample(columns=["code"]).shape == (300, 1)
