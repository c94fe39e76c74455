"""Two processes train as one does: the same losses, gradients and weights, whatever their number later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crossaisle.errors import ConfigError
from crossaisle.training.parallel import World, device_of, joined

ROOT = Path(__file__).parents[3]
CLOSE = 1e-4
USUAL: dict[str, Any] = {
    "batch": 8, "epochs": 2, "learning_rate": 5e-3, "validate_every": 4, "dropout": 0.0,
    "precision": "float32", "max_pairs": 120, "moves": "full", "patience": 0,
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "lora": {"moves": "lora", "accumulate": 2},
    "windows": {"window": 4, "against": "batch", "whiten": True},
    "last": {"moves": "last", "last_layers": 1, "directed": True},
    "drawn": {"objective": "cross_entropy", "word_dropout": 0.3},
    "pairs": {"objective": "bce"},
    "attacked": {"adversarial": "fgm"},
    "odd": {"batch": 7},
    "half": {"precision": "bfloat16"},
}


def train(processes: int, runs: dict[str, dict[str, Any]], out: Path) -> None:
    out.mkdir(exist_ok=True)
    file = out / "runs.json"
    file.write_text(json.dumps(runs))
    script = str(Path(__file__).with_name("together.py"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = (
        [*launch, script, str(file), str(out)]
        if processes > 1
        else [sys.executable, script, str(file), str(out)]
    )
    paths = os.pathsep.join([str(ROOT), *sys.path])
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


def steps(out: Path, name: str, rank: int = 0) -> np.ndarray:
    """float64 (steps, 3): number, loss and norm of the gradient."""
    return np.array(json.loads((out / f"{name}-{rank}.json").read_text())["steps"])


@pytest.fixture(scope="module")
def trained(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of what one process and two did."""
    folder = tmp_path_factory.mktemp("together")
    runs = {name: {**USUAL, "backbone": str(bert), **more} for name, more in RUNS.items()}
    for processes in (1, 2):
        train(processes, runs, folder / str(processes))
    return folder / "1", folder / "2"


@pytest.mark.parametrize("name", [name for name in RUNS if name != "half"])
def test_two_processes_take_the_steps_of_one(trained: tuple[Path, Path], name: str) -> None:
    one, two = trained
    alone, together = steps(one, name), steps(two, name)
    assert len(alone) > 5
    assert np.ptp(alone[:, 1]) > 100 * CLOSE, "a loss that does not move shows nothing"
    np.testing.assert_allclose(together, alone, atol=CLOSE, rtol=CLOSE)
    expected = load_file(one / f"{name}-0.safetensors")
    for key, value in load_file(two / f"{name}-0.safetensors").items():
        torch.testing.assert_close(value, expected[key], atol=10 * CLOSE, rtol=10 * CLOSE)


@pytest.mark.parametrize("name", list(RUNS))
def test_all_processes_end_with_the_same_weights(trained: tuple[Path, Path], name: str) -> None:
    first, second = (load_file(trained[1] / f"{name}-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert (steps(trained[1], name, 0) == steps(trained[1], name, 1)).all()


def test_in_bfloat16_it_is_the_same_but_for_rounding(trained: tuple[Path, Path]) -> None:
    alone, together = steps(trained[0], "half"), steps(trained[1], "half")
    np.testing.assert_allclose(together[:, 1], alone[:, 1], rtol=0.05)


def test_training_goes_on_with_another_number_of_processes(
    bert: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {**USUAL, "backbone": str(bert), "checkpoint_every": 3}
    for first, then in ((2, 1), (1, 2)):
        folder = tmp_path / f"{first}-{then}"
        kept = {"checkpoint": str(folder / "checkpoint")}
        train(first, {"begun": {**settings, **kept, "stop_at": 8}}, folder)
        train(then, {"ended": {**settings, **kept}}, folder)
        whole = steps(trained[0], "softmax")
        rest = steps(folder, "ended")
        assert rest[0, 0] == 6, "the step of the last checkpoint"
        np.testing.assert_allclose(rest, whole[6:], atol=CLOSE, rtol=CLOSE)


def test_a_process_alone_exchanges_nothing() -> None:
    with joined(device_of("cpu")) as world:
        assert world == World()
        assert world.agreed(2.0, torch.device("cpu")) == 2.0
        world.average([])
        world.wait()


def test_devices() -> None:
    assert device_of("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"^--device tpu: must be auto, cpu or cuda$"):
        device_of("tpu")
    if not torch.cuda.is_available():
        assert device_of("auto") == torch.device("cpu")
        with pytest.raises(ConfigError, match="finds no GPU here: use --device cpu"):
            device_of("cuda")
