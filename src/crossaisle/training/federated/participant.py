"""`Participant`: a shop in federated training; its events never leave it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.errors import DataError
from crossaisle.training.federated.adapter import NEWEST
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.text.pairs import next_items


class Sender(Protocol):
    """Anything that responds to a model with an update: a shop in this process, or a remote one."""

    @property
    def name(self) -> str:
        """Name used in messages."""
        ...

    @property
    def size(self) -> int:
        """Number of users, which is its weight in a mean."""
        ...

    def update(self, weights: Floats, number: int) -> Floats:
        """float32 (d, d): the update to the weights of round `number`, from 0 on."""
        ...


class Participant:
    """A shop's side: local steps on its own events, with clipped gradients per user, and noise if configured.

    A user's loss is the cross-entropy of one next item against items drawn uniformly from the catalogue, so
    that no user's gradient depends on another user.
    """

    def __init__(self, dataset: Dataset, vectors: Floats, config: FederatedConfig) -> None:
        """`dataset`: training events. `vectors` float32 (n_items, d) of unit length, in the common space.

        Raises `DataError` if no user has two events.
        """
        made = next_items(dataset, NEWEST)
        if not len(made):
            raise DataError(f"{dataset.name}: nobody has two events: there is nothing to learn from")
        self.name, self._config, self._vectors = dataset.name, config, vectors
        order = np.argsort(made.owner, kind="stable")
        self._source, self._target = made.source[order], made.target[order]
        self._users, self._first = np.unique(made.owner[order], return_index=True)
        self._count = np.diff(np.append(self._first, len(order)))

    @property
    def size(self) -> int:
        """Number of users with at least two events."""
        return len(self._users)

    def update(self, weights: Floats, number: int) -> Floats:
        """float32 (d, d): the change of the weights over a round of local steps."""
        config = self._config
        rng = np.random.default_rng([config.seed, number, self.size])
        rate = config.learning_rate * (1.0 - 0.9 * number / config.rounds)
        local = weights.astype(np.float32, copy=True)
        for _ in range(config.local_steps):
            local -= rate * self.step(local, rng)
        change: Floats = local - weights
        return change

    def step(self, weights: Floats, rng: np.random.Generator) -> Floats:
        """float32 (d, d): the sum of some users' gradients, each clipped to norm `clip`, with noise."""
        config = self._config
        chance = min(config.users / self.size, 1.0)
        drawn = np.flatnonzero(rng.random(self.size) < chance)
        rows = self._first[drawn] + (rng.random(len(drawn)) * self._count[drawn]).astype(np.int64)
        history = unit_rows(self._source[rows] @ self._vectors)  # (b, d)
        residual = self._residual(history @ weights, self._target[rows], rng)  # (b, d)
        # A user's gradient is the outer product of these, so its norm is the product of their norms.
        length = np.linalg.norm(history, axis=1) * np.linalg.norm(residual, axis=1)
        residual *= np.minimum(1.0, config.clip / np.maximum(length, 1e-12))[:, None]
        gradient: Floats = (history.T @ residual).astype(np.float32)
        if config.noise:
            gradient += rng.normal(0.0, config.noise * config.clip, gradient.shape).astype(np.float32)
        gradient /= np.float32(chance * self.size)
        return gradient

    def _residual(self, mapped: Floats, target: np.ndarray, rng: np.random.Generator) -> Floats:
        """float32 (b, d): the gradient of each user's loss with respect to the mapped history vector."""
        vectors, heat = self._vectors, self._config.temperature
        others = rng.choice(len(vectors), min(self._config.negatives, len(vectors)), replace=False)
        logits = np.einsum("bd,bd->b", mapped, vectors[target])[:, None]
        logits = np.hstack([logits, mapped @ vectors[others].T]) / heat
        logits[:, 1:][others[None, :] == target[:, None]] = -np.inf
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        residual: Floats = ((share[:, :1] - 1) * vectors[target] + share[:, 1:] @ vectors[others]) / heat
        return residual.astype(np.float32)
