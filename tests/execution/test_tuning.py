"""Trials on several workers: as many as asked for, with the scores they have in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle.config import DataConfig, ModelConfig, RunConfig, SplitConfig
from crossaisle.execution.executor import Executor
from crossaisle.models.defaults import with_settings
from crossaisle.pipeline.improving.tune import tune
from crossaisle.pipeline.improving.workbench import Workbench
from tests.execution.ending import KillingExecutor
from tests.pipeline.shops import supermarket

pytest.importorskip("optuna")


def test_trials_on_ray_score_as_they_do_in_this_process(
    on_ray: Executor, marks: Path, tmp_path: Path
) -> None:
    shop = supermarket(600, repeated=0.5)
    left_out = tuple(
        name
        for name in Workbench.of(shop, SplitConfig(), ModelConfig(encoder="none")).parts
        if name != "popularity"
    )
    config = RunConfig(data=DataConfig(), model=ModelConfig(encoder="none", leave_out=left_out))
    killing = KillingExecutor(on_ray, marks, frozenset({1}))
    tune(shop, config, tmp_path, minutes=0.05, executor=killing)
    assert len(list(marks.glob("killed-*"))) == 1
    trials = json.loads((tmp_path / "trials.json").read_text())["trials"]
    assert [trial["number"] for trial in trials] == list(range(len(trials))), "none is lost, none is doubled"
    assert len(trials) > 2
    assert trials[0]["default"]
    assert all(trial["seconds"] > 0 for trial in trials)
    bench = Workbench.of(shop, config.split, config.model)
    for trial in trials[1:4]:
        part = with_settings({"it": bench.parts["popularity"]}, {"it": trial["values"]})["it"]
        assert bench.alone(part) == pytest.approx(trial["quality"], abs=1e-5)
