"""Lists for all users on several workers: the same file as from one."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossaisle import cli
from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.query import Query
from crossaisle.errors import ArtifactError
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.pipeline.exports import lists as work
from crossaisle.pipeline.exports.lists import Listing, export_lists
from crossaisle.pipeline.fit import fit
from tests.execution.ending import KillingExecutor
from tests.models.shops import tiny_shop

QUERY = Query(placement="for_you", n=4, explain=True)
SCORES = 1e-5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists") / "model"
    plain = ModelConfig(encoder="none", sequence="off", ranker=False)
    fit(tiny_shop(), split_config=SplitConfig(), model_config=plain).past.save(folder)
    return folder


def test_the_file_is_that_of_one_process_whoever_is_killed(
    model: Path, tmp_path: Path, on_ray: Executor, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "BATCH", 3)
    monkeypatch.setattr(work, "PART", 7)
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    export_lists(model, one, QUERY)
    done = export_lists(model, two, QUERY, executor=KillingExecutor(on_ray, marks, frozenset({1, 4})))
    assert len(list(marks.glob("killed-*"))) == 2
    assert done.resumed == 0
    here, there = pl.read_parquet(one), pl.read_parquet(two)
    assert_frame_equal(here.drop("score"), there.drop("score"))
    assert (here["score"] - there["score"]).abs().max() <= SCORES


def test_the_export_command_runs_on_ray(
    model: Path, tmp_path: Path, on_ray: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lists.csv"
    assert cli.run(["export", str(model), "--out", str(out), "--on", "ray"]) == 0
    assert "24 lists, 240 items" in capsys.readouterr().out
    assert out.exists()


def test_a_worker_without_the_model_says_where_it_looked(model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    listing = Listing(str(moved), work._manifest(model), QUERY)
    with pytest.raises(ArtifactError, match=r"moved: is missing on a worker's machine: put it where all"):
        next(LocalExecutor().map(listing, [["1"]]))
    shutil.copytree(model, moved)
    with pytest.raises(ArtifactError, match="a worker has a different model under this path"):
        next(LocalExecutor().map(Listing(str(moved), "other", QUERY), [["1"]]))
