"""`Pool`: training on all events in one place, the baseline for federated averaging."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Participant


class Pool:
    """Takes steps of the shops in random order, in proportion to their users, as one shop with all events
    would."""

    name = "pool"

    def __init__(self, members: Sequence[Participant], config: FederatedConfig) -> None:
        self._members, self._config = members, config
        self.size = sum(member.size for member in members)

    def update(self, weights: Floats, number: int) -> Floats:
        """float32 (d, d): see `Participant.update`."""
        rng = np.random.default_rng([self._config.seed, number])
        share = np.array([member.size for member in self._members]) / self.size
        rate = self._config.learning_rate * (1.0 - 0.9 * number / self._config.rounds)
        local = weights.copy()
        for place in rng.choice(len(share), self._config.local_steps, p=share):
            local -= rate * self._members[place].step(local, rng)
        change: Floats = local - weights
        return change
