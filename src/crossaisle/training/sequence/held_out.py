"""`HeldOut`: the newest events of some users, held out to select the best epoch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crossaisle.data.history import Floats, Histories
from crossaisle.training.sequence.windows import Batch, Ints, Windows

MOST = 2000
"""Maximum number of users."""
SHARE = 0.1
"""Maximum share of all users."""
K = 10
_AT_ONCE = 256


class HistoryNetwork(nn.Module):
    """Encodes histories, and scores the learned items."""

    @abstractmethod
    def read(self, batch: Batch) -> Tensor:
        """float32 (events, dimensions): the state after each event of the windows, given those before it."""

    @abstractmethod
    def scores(self, meaning: Tensor) -> Tensor:
        """Scores of all learned items, float32 (n, items learned)."""


@dataclass(frozen=True)
class HeldOut:
    """Windows whose last target is held out, and the items of each history up to it."""

    windows: Windows
    had: list[Ints]

    @classmethod
    def of(
        cls, histories: Histories, place: Ints, length: int, rng: np.random.Generator
    ) -> tuple[Histories, HeldOut | None]:
        """The histories without the held-out events. None if no history has three events."""
        long = np.flatnonzero(histories.lengths > 2)
        chosen = rng.permutation(long)[: min(MOST, int(SHARE * len(histories)) + 1)]
        if not len(chosen):
            return histories, None
        last = histories.indptr[chosen + 1] - 1
        first = np.maximum(last - length, histories.indptr[chosen])
        windows = Windows.between(histories, place, first, last)
        had = [place[histories.items_of(row)[:-1]] for row in chosen.tolist()]
        kept = np.ones(len(histories.item), bool)
        kept[last] = False
        return histories.keep(kept), cls(windows, had)

    @torch.no_grad()
    def quality(self, network: HistoryNetwork) -> float:
        """NDCG@10 over all items except those already in the history, unless they are the target.

        A mean over the targets, weighted by their event kinds.
        """
        network.eval()
        gains: list[npt.NDArray[np.float64]] = []
        worth: list[Floats] = []
        for start in range(0, len(self.windows), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(self.windows)))
            batch = self.windows.batch(rows)
            newest = np.cumsum(self.windows.lengths[rows]) - 1
            meaning = network.read(batch)[newest]
            scores, answer = network.scores(meaning).cpu().numpy(), batch.answers[newest]
            right = scores[np.arange(len(rows)), answer].copy()
            for row, at in enumerate(rows.tolist()):
                scores[row, self.had[at]] = -np.inf
            rank = (scores > right[:, None]).sum(axis=1)
            gains.append(np.where(rank < K, 1.0 / np.log2(rank + 2.0), 0.0))
            worth.append(batch.worth[newest])
        return float(np.average(np.concatenate(gains), weights=np.concatenate(worth)))
