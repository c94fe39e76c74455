"""`benchmark lm-zero-shot` on a tiny shop and a decoder with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")

from crossaisle.data.datasets import LEAVE_LAST_OUT
from crossaisle.studies import lm_zero_shot
from crossaisle.studies.lm_zero_shot import ListStudy, questions
from tests.encoders.tiny import write
from tests.models.shops import tiny_shop
from tests.training.conftest import tiny_llama


def test_every_model_ranks_the_same_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    known, cases = questions(tiny_shop(), LEAVE_LAST_OUT, most=10)
    assert len(cases) == 10
    assert (np.diff(cases.target_indptr) == 1).all()
    study = ListStudy(
        known, cases, model=str(tiny_llama(tmp_path / "llama")), encoder=str(write(tmp_path / "e")), drawn=5
    )
    lists = study._lists()
    for row, items in enumerate(lists):
        assert items[0] == cases.targets_of(row)[0]
        assert len(set(items[:6])) == len({items[0], *items[6:]}) == 6
        assert not set(items[1:]) & set(cases.histories.items_of(row))
        assert (known.item_counts[items[1:]] > 0).all()
    study.run()
    rows = study.rows()
    models = ["tfidf", "minilm", "popularity", "lm", "lm_pmi", *lm_zero_shot.SUMS]
    assert list(study.values["uniform"]) == models
    assert len(rows) == 2 * len(models) * 3
    same = [r for r in rows if r["model"] == "tfidf" and r["metric"] == "difference_to_tfidf"]
    assert all(r["value"] == r["low"] == r["high"] == 0 for r in same)
    assert all(0 < r["value"] <= 1 for r in rows if r["metric"] == "ndcg")
