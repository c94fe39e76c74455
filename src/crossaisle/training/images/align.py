"""Contrastive training of an `Alignment`: pulls each picture and its own title together.

Symmetric InfoNCE (Radford et al., CLIP, ICML 2021) over two linear maps on frozen vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from crossaisle.data.history import Floats
from crossaisle.encoders.images.alignment import SIDES, Alignment, Head, Side
from crossaisle.errors import ConfigError
from crossaisle.progress import bar


@dataclass(frozen=True, kw_only=True)
class AlignConfig:
    """Settings for training an alignment."""

    space: int = 256
    """Dimension of the common space, per head."""
    heads: int = 1
    """Number of pairs of maps, trained from different seeds and averaged."""
    epochs: int = 40
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    dropout: float = 0.3
    temperature: float = 0.07
    """Initial value; the temperature is learned."""
    seed: int = 0


def train_alignment(
    images: Floats,
    texts: Floats,
    groups: Sequence[object],
    config: AlignConfig | None = None,
    *,
    progress: bool = False,
) -> Alignment:
    """Learns maps into one space from pairs of rows, float32 (n, d) and (n, e).

    `groups` identifies what a pair shows (by its title, say): other pairs of the same group in a batch are
    not used as negatives. Pairs with a row of zeros on either side are left out. `ConfigError` for fewer than
    two pairs.
    """
    config = config or AlignConfig()
    whole = np.flatnonzero(np.any(images, axis=1) & np.any(texts, axis=1))
    if len(whole) < 2:
        raise ConfigError(f"alignment needs two items with both picture and title (found {len(whole)})")
    names: dict[object, int] = {}
    group = torch.tensor([names.setdefault(groups[int(i)], len(names)) for i in whole])
    rows = {"image": images[whole], "text": texts[whole]}
    moments: dict[Side, tuple[Floats, Floats]] = {
        side: (rows[side].mean(axis=0), rows[side].std(axis=0) + np.float32(1e-4)) for side in SIDES
    }
    x = {side: torch.from_numpy((rows[side] - moments[side][0]) / moments[side][1]).float() for side in SIDES}
    pairs = []
    with bar("aligning", config.heads * config.epochs, show=progress) as advance:
        for number in range(config.heads):
            maps = _train(x, group, config, config.seed + number, advance)
            pairs.append(
                {
                    side: Head(
                        *moments[side],
                        maps[side].weight.detach().numpy().T.copy(),
                        maps[side].bias.detach().numpy(),
                    )
                    for side in SIDES
                }
            )
    return Alignment(tuple(pairs))


def _train(
    x: dict[Side, torch.Tensor], group: torch.Tensor, config: AlignConfig, seed: int, advance: object
) -> dict[Side, nn.Linear]:
    n, size = len(group), min(config.batch, len(group))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        maps = {side: nn.Linear(x[side].shape[1], config.space) for side in SIDES}
        sharpness = nn.Parameter(torch.tensor(float(np.log(1 / config.temperature))))
        moving = [p for m in maps.values() for p in m.parameters()]
        optimiser = torch.optim.AdamW(
            [
                {"params": moving, "weight_decay": config.weight_decay},
                {"params": [sharpness], "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
        )
        steps = config.epochs * (n // size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda s: min((s + 1) / max(0.1 * steps, 1), 0.5 * (1 + np.cos(np.pi * s / steps)))
        )
        for _ in range(config.epochs):
            order = torch.randperm(n)
            for start in range(0, n - size + 1, size):
                rows = order[start : start + size]
                left, right = (
                    F.normalize(maps[side](F.dropout(x[side][rows], config.dropout)), dim=1) for side in SIDES
                )
                logits = left @ right.T * sharpness.exp().clamp(max=100)  # (size, size)
                same = group[rows][:, None] == group[rows][None]
                same.fill_diagonal_(False)
                logits = logits.masked_fill(same, -1e4)
                target = torch.arange(size)
                loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            advance(1)  # type: ignore[operator]
    return maps
