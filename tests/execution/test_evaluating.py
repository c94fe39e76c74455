"""Evaluation in shards: every figure is that of one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.evaluate import ranking
from crossaisle.execution.executor import Executor
from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.measure import measure
from tests.execution.ending import KillingExecutor
from tests.models.shops import tiny_shop


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    plain = ModelConfig(encoder="none", sequence="off", ranker=False)
    return fit(tiny_shop(users=60), split_config=SplitConfig(), model_config=plain)


def test_rows_and_lists_are_those_of_one_process(
    fitted: Fitted, on_ray: Executor, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "SHARD", 1)
    whole = measure(fitted, resamples=50)
    monkeypatch.setattr(ranking, "_batch_size", lambda candidates, size: 5)
    shared = measure(fitted, resamples=50, executor=KillingExecutor(on_ray, marks, frozenset({1, 3})))
    assert len(list(marks.glob("killed-*"))) == 2
    assert shared.columns == whole.columns
    for model in whole.models:
        np.testing.assert_array_equal(shared.lists[model], whole.lists[model])
        np.testing.assert_allclose(shared.values[model], whole.values[model], atol=1e-5)
    keys = ("model", "slice", "metric", "k", "n")
    assert [[row[key] for key in keys] for row in shared.rows] == [
        [r[key] for key in keys] for r in whole.rows
    ]
