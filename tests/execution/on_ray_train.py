"""Processes of a Ray cluster train as one does, and go on where one of them was killed.

Run by `test_training.py` in a process of its own: Ray Train may hold its processors until the session ends.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")
pytest.importorskip("onnxscript", reason="needs pip install 'crossaisle[train]'")

from safetensors.numpy import load_file

from crossaisle import cli
from crossaisle.config import SplitConfig
from crossaisle.errors import ConfigError, WorkerError
from crossaisle.execution import ray_train
from crossaisle.execution.executor import Executor
from crossaisle.execution.ray_train import Say, together
from crossaisle.pipeline.fine_tune import fine_tune, fine_tune_on_ray
from crossaisle.train_config import TrainConfig
from tests.models.shops import tiny_shop
from tests.training.conftest import tiny_bert

CLOSE = 1e-4
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray's, of its own settings


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, dict[str, Any], Path]:
    """Settings, and what one process made of them."""
    folder = tmp_path_factory.mktemp("alone")
    config = TrainConfig(
        backbone=str(tiny_bert(folder / "bert")), batch=8, epochs=2, learning_rate=5e-3, validate_every=4,
        dropout=0.0, precision="float32", max_pairs=120, moves="full", patience=0, guard=False,
        checkpoint_every=4,
    )  # fmt: skip
    summary = fine_tune(tiny_shop(), SplitConfig(), config, folder / "model")
    assert summary is not None
    return config, summary, folder / "model"


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(
        np.allclose(second[key], value, atol=10 * CLOSE, rtol=10 * CLOSE) for key, value in first.items()
    )


def test_two_processes_learn_what_one_learns(
    on_ray: Executor, alone: tuple[TrainConfig, dict[str, Any], Path], tmp_path: Path
) -> None:
    config, expected, model = alone
    said: list[str] = []
    found = fine_tune_on_ray(
        tiny_shop(), SplitConfig(), config, tmp_path / "model", device="cpu", say=said.append
    )
    assert found["model"] == tmp_path / "model"
    assert found["steps"] == expected["steps"] > 5
    assert found["ndcg_before"] == pytest.approx(expected["ndcg_before"], abs=CLOSE)
    assert found["ndcg_after"] == pytest.approx(expected["ndcg_after"], abs=CLOSE)
    assert same_weights(model, tmp_path / "model")
    assert any(", 2 processes" in line for line in said)
    assert "writing the model" in said


def test_training_goes_on_where_a_process_was_killed(
    on_ray: Executor, alone: tuple[TrainConfig, dict[str, Any], Path], tmp_path: Path
) -> None:
    config, _, model = alone
    said: list[str] = []

    def work(again: bool, say: Say) -> dict[str, Any] | None:
        def fatal(line: str) -> None:
            say(line)
            if line.startswith("step 8 of") and not again:
                os.kill(os.getpid(), signal.SIGKILL)

        out = tmp_path / "model"
        return fine_tune(tiny_shop(), SplitConfig(), config, out, resume=again, device="cpu", say=fatal)

    assert together(work, 2, gpus=False, say=said.append) is not None
    assert "a process was lost, or could not be started (attempt 1 of 3)" in said
    assert any(line.startswith("resuming from step ") for line in said)
    assert same_weights(model, tmp_path / "model")


def test_an_error_of_the_work_ends_it_as_it_is(on_ray: Executor, marks: Path) -> None:
    def work(again: bool, say: Say) -> None:
        (marks / f"begun-{os.getpid()}").touch()
        raise ConfigError("batch 0: must be at least 1")

    with pytest.raises(ConfigError, match=r"^batch 0: must be at least 1$"):
        together(work, 1, gpus=False, say=print)
    assert len(list(marks.iterdir())) == 1


def test_processes_that_keep_being_lost_end_it(on_ray: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_train, "ATTEMPTS", 1)

    def work(again: bool, say: Say) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(
        WorkerError, match=r"^1 times a process of the training was lost or could not be started: "
    ):
        together(work, 1, gpus=False, say=print)


def test_more_processes_than_there_is_room_for(on_ray: Executor) -> None:
    with pytest.raises(ConfigError, match=r"^3 processes need as many processors: the Ray cluster has 2"):
        together(lambda again, say: None, 3, gpus=False, say=print)
    with pytest.raises(ConfigError, match=r"^1 processes need as many GPUs: the Ray cluster has 0"):
        together(lambda again, say: None, None, gpus=True, say=print)


def test_processes_are_those_of_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", "shop.toml", "--out", "model", "--processes", "2"]) == 2
    assert "--processes needs --on ray" in capsys.readouterr().err
