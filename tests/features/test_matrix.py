from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.config import SplitConfig
from crossaisle.data.provenance import facts_of
from crossaisle.errors import DataError
from crossaisle.features.matrix import TARGETS
from crossaisle.pipeline.analysis.features import build_features, export_features
from tests.models.shops import tiny_shop

LAST = SplitConfig(protocol="leave_last_out")


@pytest.fixture(scope="module")
def built():
    return build_features(tiny_shop(), LAST, encoder="none", per_positive=2)


def test_both_sides_have_the_same_columns_and_whole_folds(built):
    assert built.train.table.names == built.validation.table.names
    for matrix in (built.train, built.validation):
        assert matrix.table.values.dtype == np.float32
        assert (np.bincount(matrix.user[matrix.label == 1]) <= TARGETS).all()
        for user in np.unique(matrix.user):
            assert len(np.unique(matrix.fold[matrix.user == user])) == 1


def test_features_know_nothing_of_their_window(built):
    """Each positive is the last but one, or the last but two, event: what the history has ends before it."""
    data = tiny_shop()
    starts = data.user_indptr
    for matrix, back in ((built.validation, 2), (built.train, 3)):
        events = matrix.table.column("user.events")
        for user, item in zip(matrix.user[matrix.label == 1], matrix.item[matrix.label == 1], strict=True):
            place = int(starts[user + 1]) - back
            assert data.events.item[place] == item
        assert events == pytest.approx(np.full(len(events), np.log1p(8 - back)))


def test_what_users_had_before_may_be_a_negative():
    data = tiny_shop(users=80)
    matrix = build_features(data, LAST, encoder="none", per_positive=4, scheme="popularity").train
    had = matrix.table.column("pair.times_had")
    assert (had[matrix.label == 0] > 0).any()


def test_seen_negatives_come_from_the_history():
    matrix = build_features(tiny_shop(), LAST, encoder="none", scheme="seen").train
    assert (matrix.table.column("pair.times_had")[matrix.label == 0] > 0).all()


def test_files_carry_provenance_and_all_rows(tmp_path: Path):
    facts = export_features(tiny_shop(), LAST, tmp_path, encoder="none", select=False, seed=3)
    frame = pl.read_parquet(tmp_path / "train.parquet")
    assert frame.columns[:4] == ["user_id", "item_id", "label", "fold"]
    assert frame.height == facts["train.parquet"]["rows"]
    assert len(frame.columns) - 4 == facts["columns"]
    found = facts_of(tmp_path / "validation.parquet")
    assert (found["seed"], found["data"], found["protocol"]) == (3, facts["data"], "leave_last_out")
    other = export_features(tiny_shop(), LAST, tmp_path / "again", encoder="none", select=False, seed=3)
    assert other == facts
    assert pl.read_parquet(tmp_path / "again" / "train.parquet").equals(frame)


def test_a_shop_that_cannot_be_split_says_so():
    empty = tiny_shop().with_events(np.zeros(0, np.int64))
    with pytest.raises(DataError, match="there are no events yet"):
        build_features(empty, LAST, encoder="none")
