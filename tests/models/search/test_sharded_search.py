"""An index in files: what it finds, how it is written, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.errors import ArtifactError, ConfigError, DataError
from crossaisle.models.search import int8_search, sharded_search
from crossaisle.models.search.sharded_search import ShardedRows, build_index, open_index
from tests.models.search.contract import CategoryIndexContract, N, categories, vectors

__all__ = ["categories", "vectors"]  # fixtures


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray, categories: np.ndarray) -> Path:
    """Seven shards, the last of them smaller."""
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(folder, vectors, categories, shard=600)
    return folder


class TestShardedRows(CategoryIndexContract):
    least = 0.999

    @pytest.fixture
    def rows(self, saved: Path) -> ShardedRows:
        return open_index(saved)


class TestOneShardWithoutNumba(CategoryIndexContract):
    least = 0.999

    @pytest.fixture
    def rows(
        self, tmp_path: Path, vectors: np.ndarray, categories: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> ShardedRows:
        monkeypatch.setattr(int8_search, "find_spec", lambda name: None)
        build_index(tmp_path / "index", vectors, categories)
        return open_index(tmp_path / "index")


def test_shards_change_nothing(
    saved: Path, tmp_path: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    build_index(tmp_path / "one", vectors, categories)
    queries = vectors[:40]
    found = open_index(saved).search(queries, 10), open_index(tmp_path / "one").search(queries, 10)
    assert np.mean(found[0] == found[1]) > 0.99
    assert len(open_index(saved).shards) == 7


def test_a_filter_reads_only_where_its_rows_lie(saved: Path, categories: np.ndarray) -> None:
    shard = open_index(saved).shards[0]
    (piece,) = shard.pieces(np.array([3], np.int32))
    assert (categories[shard.rows[piece]] == 3).all()
    assert piece.stop - piece.start == (categories[:600] == 3).sum()
    allowed = np.zeros(5000, bool)
    allowed[[10, 600, 4999]] = True
    assert shard.filled(allowed) == [slice(0, 1024), slice(4608, 5120)]
    assert shard.filled(~allowed) == [slice(0, 5120)]


class Interrupted(Exception):
    pass


class Breaking:
    """A matrix of which only some rows can be read."""

    def __init__(self, rows: np.ndarray, first: int, last: int) -> None:
        self.rows, self.first, self.last, self.read = rows, first, last, []  # type: ignore[var-annotated]
        self.shape = rows.shape

    def __getitem__(self, part: slice) -> Any:
        self.read.append(part.start)
        if part.start < self.first or part.start >= self.last:
            raise Interrupted
        return self.rows[part]


def test_an_interrupted_build_goes_on(
    saved: Path, tmp_path: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    folder = tmp_path / "index"
    with pytest.raises(Interrupted):
        build_index(folder, Breaking(vectors, 0, 1800), categories, shard=600, source="a")
    assert not folder.exists()
    cut_off = tmp_path / "index.parts" / "shard-0000000600" / "codes.npy"
    cut_off.write_bytes(cut_off.read_bytes()[:-7])
    with pytest.raises(ConfigError, match=r"index\.parts: holds parts of another index: remove it"):
        build_index(folder, vectors, categories, shard=600, source="b")
    rest = Breaking(vectors, 600, N)
    build_index(folder, rest, categories, shard=600, source="a")
    assert rest.read == [600, 1800, 2400, 3000, 3600]  # the damaged one again
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    queries = vectors[:40]
    assert (open_index(folder).search(queries, 10) == open_index(saved).search(queries, 10)).all()


def test_what_cannot_be_indexed(tmp_path: Path, vectors: np.ndarray, categories: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="needs a category for each row: 5 for 4,000 rows"):
        build_index(tmp_path / "index", vectors, categories[:5])
    for value in (np.nan, np.inf, 1e6):
        wrong = vectors.copy()
        wrong[3001, 4] = value
        with pytest.raises(DataError, match="vector 3,001 holds NaN, or a number too large"):
            build_index(tmp_path / "index", wrong, categories, shard=1000, source=str(value))
        assert not (tmp_path / "index").exists()
        sharded_search.shutil.rmtree(tmp_path / "index.parts")


def test_a_folder_that_is_something_else_stays(
    tmp_path: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "letters.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="exists and is not a saved crossaisle folder"):
        build_index(tmp_path / "index", vectors, categories)
    assert (tmp_path / "index" / "letters.txt").read_text() == "mine"
    assert not (tmp_path / "index.parts").exists()


def test_a_damaged_index_is_not_opened(tmp_path: Path, vectors: np.ndarray, categories: np.ndarray) -> None:
    folder = tmp_path / "index"
    build_index(folder, vectors, categories, shard=2000)
    file = folder / "shard-0000002000" / "codes.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"shard-0000002000/codes.npy does not match its checksum"):
        open_index(folder)


def write_with(
    name: str, values: np.ndarray, folder: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    """An index with an array of its own in each shard, and checksums that are right."""
    write = sharded_search._write_shard

    def wrong(place: Path, *more: Any) -> None:
        write(place, *more)
        np.save(place / f"{name}.npy", values)

    sharded_search._write_shard = wrong
    try:
        build_index(folder, vectors, categories, shard=2000)
    finally:
        sharded_search._write_shard = write


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rows", np.zeros(2000, np.int32)),
        ("codes", np.zeros((2000, 47), np.int8)),
        ("vectors", np.zeros((2000, 48), np.float32)),
        ("starts", np.array([0, 9000], np.int64)),
        ("step", np.array([np.nan], np.float32)),
        ("step", np.array([np.inf], np.float32)),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    name: str, values: np.ndarray, tmp_path: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    """Checksums show that a folder is as it was written, not by whom."""
    write_with(name, values, tmp_path / "index", vectors, categories)
    with pytest.raises(ArtifactError, match="its arrays do not fit together; build the index again"):
        open_index(tmp_path / "index")


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_vectors_that_are_no_numbers_are_refused(
    bad: float, tmp_path: Path, vectors: np.ndarray, categories: np.ndarray
) -> None:
    values = np.full((2000, 48), 65504, np.float16)  # the largest number there is
    values[::2] *= -1
    write_with("vectors", values, tmp_path / "good", vectors[:2000], categories[:2000])
    assert open_index(tmp_path / "good").n == 2000
    values[1999, 47] = bad
    write_with("vectors", values, tmp_path / "index", vectors[:2000], categories[:2000])
    with pytest.raises(ArtifactError, match=r"vectors\.npy: damaged: holds NaN or infinity; build the index"):
        open_index(tmp_path / "index")


def test_an_empty_index(tmp_path: Path) -> None:
    build_index(tmp_path / "index", np.empty((0, 5), np.float32), np.empty(0, np.int32))
    none = open_index(tmp_path / "index")
    assert none.search(np.ones((2, 5), np.float32), 3).shape == (2, 0)
    assert none.known.shape == (0,)
