"""The block of a `SequenceTransformer` in torch; processes all positions of a window at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossaisle.models.base import Arrays
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.models.scorers.vectors.history_vectors import NORM_EPS
from crossaisle.training.sequence.held_out import HistoryNetwork
from crossaisle.training.sequence.windows import Batch

SHARP = 3.0
"""Initial scale of the last norm: at 1, the softmax over thousands of items is too flat to learn from."""


class Block(HistoryNetwork):
    """Item and position embeddings, causal attention, a hidden layer; pre-norm."""

    def __init__(self, model: SequenceTransformer, start: Tensor) -> None:
        """`start`: initial item vectors, float32 (n, dimensions)."""
        super().__init__()
        d = model.dimensions
        self.heads, self.rate = model.heads, model.dropout
        self.vectors = nn.Parameter(start.clone())
        self.bias = nn.Parameter(torch.zeros(len(start)))
        self.places = nn.Parameter(torch.zeros(model.length, d))
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.inner, self.outer = nn.Linear(d, model.hidden), nn.Linear(model.hidden, d)
        self.before, self.between, self.last = (nn.LayerNorm(d, eps=NORM_EPS) for _ in range(3))
        nn.init.constant_(self.last.weight, SHARP)
        for layer in (self.query, self.key, self.value, self.inner):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (
            self.out,
            self.outer,
        ):  # so that the start is the similarity with the newest item's text
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def here(self, array: np.ndarray) -> Tensor:
        """An array as a tensor on the block's device."""
        return torch.from_numpy(array).to(self.vectors.device)

    def read(self, batch: Batch) -> Tensor:
        """`forward` for windows."""
        items, there, weight = map(self.here, (batch.items, batch.there, batch.weight))
        return self(F.embedding(items, self.vectors), there, weight)  # type: ignore[no-any-return]

    def forward(self, vectors: Tensor, there: Tensor, weight: Tensor) -> Tensor:
        """float32 (number of events, dimensions): the state after each event, given those before it.

        `vectors` float32 (n, width, dimensions): item vectors of the events, newest in the last column;
        `there` bool (n, width): True for events, False for the padding before them; `weight` float32 (n,
        width), above 0 and at most 1: factor of an event's vector and of its attention.
        """
        age = torch.arange(vectors.shape[1] - 1, -1, -1, device=vectors.device)
        x = self._drop(vectors * weight[:, :, None] + self.places[age])  # (n, width, d)
        x = x + self._drop(self._attend(self.before(x), there, weight))
        x = x[there]  # (events, d)
        x = x + self._drop(self.outer(self._drop(F.gelu(self.inner(self.between(x))))))
        normed: Tensor = self.last(x)
        return normed

    def _attend(self, x: Tensor, there: Tensor, weight: Tensor) -> Tensor:
        n, width, d = x.shape
        q, k, v = (
            layer(x).view(n, width, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        before = torch.ones(width, width, dtype=torch.bool, device=x.device).tril()
        # Padding attends to itself, so that no row of the softmax is empty.
        seen = (before & there[:, None, :]) | torch.eye(width, dtype=torch.bool, device=x.device)
        counted = torch.where(seen, torch.log(weight)[:, None, :], -torch.inf)
        rate = self.rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=counted[:, None], dropout_p=rate)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(n, width, d))
        return out

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.rate, self.training)

    def scores(self, meaning: Tensor) -> Tensor:
        """Scores of all learned items, float32 (n, n_items)."""
        return torch.addmm(self.bias, meaning, self.vectors.T)

    def arrays(self) -> Arrays:
        """The arrays of a `SequenceTransformer`, except item vectors and their biases."""

        def affine(layer: nn.Linear) -> np.ndarray:
            return np.vstack([layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()])

        norms = [
            np.stack([norm.weight.detach().cpu().numpy(), norm.bias.detach().cpu().numpy()])
            for norm in (self.before, self.between, self.last)
        ]
        return {
            "places_": self.places.detach().cpu().numpy().copy(),
            "attention_": np.stack([affine(m) for m in (self.query, self.key, self.value, self.out)]),
            "inner_": affine(self.inner),
            "outer_": affine(self.outer),
            "norms_": np.stack(norms),
        }
