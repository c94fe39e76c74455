"""`Participant`: a shop that learns with others; its events stay in it."""

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
    """Whatever answers a model with an update: a shop here, or one behind a connection."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def size(self) -> int:
        """Users, which are its weight in a mean."""
        ...

    def update(self, weights: Floats, number: int) -> Floats:
        """float32 (d, d): what to add to the weights of round `number`, from 0 on."""
        ...


class Participant:
    """A shop's side: local steps on its own events, each user's share cut, noise added if asked for.

    The loss of a user is the cross-entropy of one next item against items drawn evenly from the catalogue,
    so that no user's share depends on another's.
    """

    def __init__(self, dataset: Dataset, vectors: Floats, config: FederatedConfig) -> None:
        """`dataset`: training events. `vectors` float32 (n_items, d) of unit length, in the space of all.

        Raises `DataError` where nobody has two events.
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
        """Users with two events or more."""
        return len(self._users)

    def update(self, weights: Floats, number: int) -> Floats:
        """float32 (d, d): where the local steps of a round led to, less where they began."""
        config = self._config
        rng = np.random.default_rng([config.seed, number, self.size])
        rate = config.learning_rate * (1.0 - 0.9 * number / config.rounds)
        local = weights.astype(np.float32, copy=True)
        for _ in range(config.local_steps):
            local -= rate * self.step(local, rng)
        change: Floats = local - weights
        return change

    def step(self, weights: Floats, rng: np.random.Generator) -> Floats:
        """float32 (d, d): the gradient of some users, each cut to `clip`, with noise."""
        config = self._config
        chance = min(config.users / self.size, 1.0)
        drawn = np.flatnonzero(rng.random(self.size) < chance)
        rows = self._first[drawn] + (rng.random(len(drawn)) * self._count[drawn]).astype(np.int64)
        history = unit_rows(self._source[rows] @ self._vectors)  # (b, d)
        residual = self._residual(history @ weights, self._target[rows], rng)  # (b, d)
        # A user's gradient is the outer product of both, so its norm is the product of theirs.
        length = np.linalg.norm(history, axis=1) * np.linalg.norm(residual, axis=1)
        residual *= np.minimum(1.0, config.clip / np.maximum(length, 1e-12))[:, None]
        gradient: Floats = (history.T @ residual).astype(np.float32)
        if config.noise:
            gradient += rng.normal(0.0, config.noise * config.clip, gradient.shape).astype(np.float32)
        gradient /= np.float32(chance * self.size)
        return gradient

    def _residual(self, mapped: Floats, target: np.ndarray, rng: np.random.Generator) -> Floats:
        """float32 (b, d): the gradient of each user's loss by the mapped history vector."""
        vectors, heat = self._vectors, self._config.temperature
        others = rng.choice(len(vectors), min(self._config.negatives, len(vectors)), replace=False)
        logits = np.einsum("bd,bd->b", mapped, vectors[target])[:, None]
        logits = np.hstack([logits, mapped @ vectors[others].T]) / heat
        logits[:, 1:][others[None, :] == target[:, None]] = -np.inf
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        residual: Floats = ((share[:, :1] - 1) * vectors[target] + share[:, 1:] @ vectors[others]) / heat
        return residual.astype(np.float32)
