"""Checkpoints: the state a killed training needs to resume exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crossaisle import artifact
from crossaisle.errors import ArtifactError

KIND = "checkpoint"
_FILE = "state.safetensors"


@dataclass
class Progress:
    """The progress of a training. Random state is not needed, as each step seeds itself from its number."""

    step: int = 0
    halvings: int = 0
    """How often the batch was halved because memory ran out."""
    best_step: int = 0
    best: float = float("-inf")
    stale: int = 0
    """Validations since the best one."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(step, training loss)."""
    validations: list[tuple[int, float]] = field(default_factory=list)
    """(step, NDCG@10)."""


def save(
    folder: Path,
    settings: Mapping[str, Any],
    progress: Progress,
    moving: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Writes a checkpoint atomically: the previous one stays until the new one is complete."""
    from safetensors.torch import save_file

    tensors = {f"moving/{name}": value.detach().contiguous() for name, value in moving.items()}
    tensors |= {f"best/{name}": value.detach().contiguous() for name, value in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optimiser/{number}/{name}"] = torch.as_tensor(value).contiguous()
    with artifact.writing(folder, KIND) as fresh:
        save_file(tensors, fresh / _FILE)
        artifact.write_json(fresh / "progress.json", {"settings": settings, "progress": asdict(progress)})


def restore(
    folder: Path, settings: Mapping[str, Any], model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Restores weights and optimizer from a checkpoint; returns its progress and best weights.

    None if there is no checkpoint. Raises `ArtifactError` if it is damaged or was made with other settings.
    """
    from safetensors.torch import load_file

    if not folder.exists():
        return None
    path = artifact.check(folder, KIND)
    saved = artifact.read_json(path / "progress.json")
    if saved["settings"] != dict(settings):
        old = saved["settings"]
        changed = sorted(k for k in settings if old.get(k) != settings[k])
        raise ArtifactError(
            f"{path}: has other settings ({', '.join(changed)}): remove it or choose another folder"
        )
    tensors = load_file(path / _FILE)
    moving = dict(model.named_parameters())
    best: dict[str, Tensor] = {}
    states: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for key, value in tensors.items():
            kind, name = key.split("/", 1)
            if kind == "moving":
                moving[name].copy_(value)
            elif kind == "best":
                best[name] = value
            else:
                number, entry = name.split("/")
                states.setdefault(int(number), {})[entry] = value
    whole = optimiser.state_dict()
    whole["state"] = states
    optimiser.load_state_dict(whole)
    values = saved["progress"]
    for curve in ("losses", "validations"):
        values[curve] = [(int(step), float(value)) for step, value in values[curve]]
    return Progress(**values), best
