"""Trains as several processes do: runs in a JSON file, on the shop of the tests, results in a folder.

torchrun --nproc-per-node 2 tests/training/text/together.py RUNS.json OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from crossaisle.train_config import TrainConfig
from crossaisle.training.parallel import World, device_of, joined
from crossaisle.training.text.trainer import Trainer
from tests.models.shops import tiny_shop


def train(world: World, settings: dict[str, Any], out: Path, name: str) -> None:
    """One run: the loss and the gradient of each step, the validations and the last weights."""
    stop_at = settings.pop("stop_at", None)
    checkpoint = settings.pop("checkpoint", None)
    split = tiny_split()
    trainer = Trainer(
        split.train, TrainConfig(**settings), validation=split.validation, world=world, device="cpu"
    )
    steps: list[tuple[int, float, float]] = []
    attempt = trainer._attempt

    def watched(state: Any) -> float:
        if state.step == stop_at:
            raise KeyboardInterrupt
        loss = attempt(state)
        gradient = torch.cat([p.grad.flatten() for p in trainer.moving.values() if p.grad is not None])
        steps.append((state.step, loss, float(gradient.norm())))
        return loss

    trainer._attempt = watched  # type: ignore[method-assign]
    validations: list[Any] = []
    try:
        folder = None if checkpoint is None else Path(checkpoint)
        trained = trainer.run(folder, resume=folder is not None)
        validations = trained.progress.validations
    except KeyboardInterrupt:
        assert stop_at is not None
    weights = {n: p.detach().clone().contiguous() for n, p in trainer.towers.named_parameters()}
    save_file(weights, out / f"{name}-{world.rank}.safetensors")
    (out / f"{name}-{world.rank}.json").write_text(json.dumps({"steps": steps, "validations": validations}))


def tiny_split() -> Any:
    from crossaisle.data.splits.split import leave_last_out

    return leave_last_out(tiny_shop())


def main() -> None:
    runs, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    with joined(device_of("cpu")) as world:
        for name, settings in runs.items():
            train(world, settings, out, name)


if __name__ == "__main__":
    main()
