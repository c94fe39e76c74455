"""The training loop over a shop's windows, shared by all models that read histories."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossaisle.data.dataset import Dataset
from crossaisle.models.scorers.vectors.history_vectors import HistoryVectors
from crossaisle.training.sequence.held_out import HeldOut, HistoryNetwork
from crossaisle.training.sequence.windows import Batch, Ints, Windows

FEWEST_STEPS = 25
"""Minimum number of steps per pass: small shops go through their windows several times."""
LAST_RATE = 0.1
"""The learning rate decays linearly from pass to pass to about this share."""
FLOOR = 0.05
"""This quantile of all scores is mapped to 0, the value of an item without a score in a blend."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """The training data."""

    place: Ints
    """int64 (n_items,): index of each learned item; -1: not learned."""
    windows: Windows
    held: HeldOut | None
    """None if the number of passes is already known."""

    @classmethod
    def of(cls, model: HistoryVectors, dataset: Dataset, items: Ints, rng: np.random.Generator) -> Material:
        """`items`: rows of the learned items."""
        place = np.full(dataset.n_items, -1, np.int64)
        place[items] = np.arange(len(items))
        histories = dataset.histories()
        histories = histories.keep(place[histories.item] >= 0)
        held = None
        if model.stop is None:
            histories, held = HeldOut.of(histories, place, model.length, rng)
        return cls(place, Windows.of(histories, place, model.length), held)


def train(
    model: HistoryVectors,
    network: HistoryNetwork,
    groups: list[dict[str, Any]],
    loss: Callable[[Batch], Tensor],
    material: Material,
    rng: np.random.Generator,
) -> None:
    """Trains for `model.stop` passes, or for `model.epochs` if that is None; then sets it to the best pass.

    `groups`: parameters and learning rates, as for AdamW. With `material.held`, the network ends with the
    weights of its best pass.
    """
    optimizer = torch.optim.AdamW(groups, fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    held = material.held
    best, found, kept = -1.0, model.epochs, None
    for number in range(1, (model.stop or model.epochs) + 1):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1.0 - (1.0 - LAST_RATE) * (number - 1) / model.epochs)
        total, steps = 0.0, 0
        network.train()
        while steps < FEWEST_STEPS:
            for batch in material.windows.batches(model.batch, model.max_events, rng):
                value = loss(batch)
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total, steps = total + float(value.detach()), steps + 1
        quality = held.quality(network) if held is not None else float("nan")
        _LOG.info("pass %d: loss %.4f, held-out NDCG@10 %.4f", number, total / steps, quality)
        if quality > best:
            best, found = quality, number
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()
    model.stop = found if model.stop is None else model.stop


def floor_of(network: HistoryNetwork, windows: Windows, rng: np.random.Generator) -> float:
    """The quantile `FLOOR` of the scores in some windows."""
    some = rng.permutation(len(windows))[:128]
    batch = windows.batch(some)
    with torch.no_grad():
        meaning = network.read(batch)[:256]
        scores = network.scores(meaning).cpu().numpy()
    return float(np.quantile(scores, FLOOR))
