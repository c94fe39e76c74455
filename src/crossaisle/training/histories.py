"""Fine-tuning of a text encoder on histories: what comes next must lie near what came before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import CrossaisleError
from crossaisle.progress import bar
from crossaisle.train_config import TrainConfig
from crossaisle.training.backbone import Backbone
from crossaisle.training.layers import merged, prepare

Move = Literal["lora", "full"]
_RATE: dict[str, float] = {"lora": 1e-3, "full": 5e-5}


@dataclass(kw_only=True)
class HistoryTuning:
    """In-batch softmax of the next item of a history among the items of all histories of the batch.

    A history is the decayed sum of its items' vectors, as `TextModel` scores it, so that training and
    serving ask the same question. Whitening stands on top of the encoder as a fixed layer from the
    first step on: without it training would spend its time on finding it. Each text is encoded once
    per batch, whatever the number of histories it stands in. Items that are bought often are negatives
    as often, without correction: the vectors learn what goes together beyond what is popular.
    """

    moves: Move
    """`full`: every weight; `lora`: low-rank updates of all linear layers (Hu et al., ICLR 2022)."""
    texts: int = 10_000
    """Texts that pass through the model during training; decides how long it takes."""
    windows: int = 24
    """Histories per batch."""
    length: int = 5
    """Consecutive events of one history per window; each but the first is asked for in turn."""
    rate: float | None = None
    """Peak learning rate (AdamW); None takes 1e-3 for LoRA and 5e-5 for all weights."""
    temperature: float = 0.05
    """Divides the cosines."""
    decay: float = 2.0
    """An event `a` places back in a window weighs exp(-a / decay)."""
    rank: int = 16
    """Rank of the LoRA updates."""
    seed: int = 0
    losses_: list[float] = field(default_factory=list, init=False, repr=False)
    """Mean loss of each step."""

    def fit(
        self, backbone: Backbone, dataset: Dataset, whitening: Whitening, *, progress: bool = False
    ) -> Backbone:
        """Trains on the events of `dataset`; returns the trained backbone, adapters merged.

        `whitening` is that of the untrained backbone's vectors over the catalogue. Raises
        `CrossaisleError` when no history has two events, or when the loss is no number any more.
        """
        windows = _windows(dataset, self.length)
        if not len(windows):
            raise CrossaisleError("fine-tuning needs histories of two or more events; there are none")
        torch.manual_seed(self.seed)
        prepare(backbone, TrainConfig(moves=self.moves, lora_rank=self.rank, lora_alpha=2 * self.rank))
        head = _Head(whitening)
        weights = [p for p in backbone.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(weights, lr=self.rate or _RATE[self.moves], weight_decay=0.01)
        per_batch = max(min(self.windows, len(windows)) * (self.length - 1), 1)
        steps = max(self.texts // per_batch, 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / (0.1 * steps + 1), 1.02 - step / steps)
        )
        batches = _batches(windows, self.windows, np.random.default_rng(self.seed))
        backbone.train()
        self.losses_ = []
        seen = 0
        with bar(f"fine-tuning ({self.moves})", self.texts, show=progress) as advance:
            while seen < self.texts and len(self.losses_) < 4 * steps:
                items, rows, target, excluded = _examples(dataset, next(batches), self.decay)
                vectors = head(backbone(backbone.tokenize([dataset.item_texts[i] for i in items])))
                loss = self._loss(vectors, rows, target, excluded)
                if not torch.isfinite(loss):
                    raise CrossaisleError(
                        f"the loss is {loss.item()} at step {len(self.losses_) + 1}: lower the learning rate"
                    )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(weights, 1.0)
                optimiser.step()
                schedule.step()
                self.losses_.append(float(loss.detach()))
                seen += len(items)
                advance(len(items))
        backbone.eval()
        return merged(backbone)

    def _loss(self, vectors: Tensor, rows: Floats, target: npt.NDArray[np.int64], excluded: Any) -> Tensor:
        device = vectors.device
        query = nn.functional.normalize(torch.from_numpy(rows).to(device) @ vectors, dim=-1)  # (m, d)
        logits = query @ vectors.T / self.temperature  # (m, items)
        logits = logits.masked_fill(torch.from_numpy(excluded).to(device), -1e4)
        loss: Tensor = nn.functional.cross_entropy(logits, torch.from_numpy(target).to(device))
        return loss


class _Head(nn.Module):
    """Whitening as a layer without trainable weights."""

    def __init__(self, whitening: Whitening) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(whitening.mean_.copy()))
        self.register_buffer("matrix", torch.from_numpy(whitening.matrix_.copy()))

    def forward(self, vectors: Tensor) -> Tensor:
        white = (vectors - self.mean) @ self.matrix  # type: ignore[operator]
        return nn.functional.normalize(white, dim=-1)


def _windows(dataset: Dataset, length: int) -> npt.NDArray[np.int64]:
    """int64 (n, 2): event rows [start, stop) of windows that overlap in one event, each of two or more."""
    starts = dataset.user_indptr
    out = [
        (begin, min(begin + length, end))
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        for begin in range(start, end - 1, length - 1)
    ]
    return np.array(out, np.int64).reshape(-1, 2)


def _batches(
    windows: npt.NDArray[np.int64], size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Windows in a new random order each time around, for ever."""
    size = min(size, len(windows))
    while True:
        order = rng.permutation(len(windows))
        for start in range(0, len(order) - size + 1, size):
            yield windows[order[start : start + size]]


def _examples(
    dataset: Dataset, windows: Sequence[Sequence[int]] | npt.NDArray[np.int64], decay: float
) -> tuple[npt.NDArray[np.int32], Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Items of a batch; per example weights of the past (m, items), target (m,), excluded (m, items).

    Items of the same window other than the target are no negatives: they are right answers, too.
    """
    parts = [dataset.events.item[start:stop] for start, stop in windows]
    items, inverse = np.unique(np.concatenate(parts), return_inverse=True)
    rows, targets, excluded, place = [], [], [], 0
    for part in parts:
        mine = inverse[place : place + len(part)]
        place += len(part)
        for at in range(1, len(part)):
            if mine[at] in mine[:at]:
                continue
            row = np.zeros(len(items), np.float32)
            np.add.at(row, mine[:at], np.exp(-np.arange(at)[::-1] / decay).astype(np.float32))
            others = np.zeros(len(items), bool)
            others[mine] = True
            others[mine[at]] = False
            rows.append(row)
            targets.append(int(mine[at]))
            excluded.append(others)
    if not rows:  # repeats only: one example that teaches nothing
        rows, targets = [np.ones(len(items), np.float32)], [0]
        excluded = [np.zeros(len(items), bool)]
    return items, np.stack(rows), np.array(targets, np.int64), np.stack(excluded)
