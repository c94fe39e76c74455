"""`SequenceTransformer`: one attention block over the newest events; its item vectors began as texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crossaisle.data.history import Floats, Histories
from crossaisle.errors import ConfigError
from crossaisle.models.scorers.vectors.history_vectors import HistoryVectors, affine, gelu, normed


@dataclass(kw_only=True)
class SequenceTransformer(HistoryVectors):
    """What comes next, read off the newest events in their order.

    SASRec (Kang and McAuley, ICDM 2018) with one pre-norm block, learned under a softmax over all items or a
    sample of them (Klenitskiy and Vasilev, RecSys 2023). Item vectors start as the leading directions of the
    text encoder's vectors (after Harte et al., RecSys 2023), and the block as the identity, so that before
    anything is learned the nearest texts come first. Items without events get a vector too: their text's,
    moved as those of like texts were. An item with neither events nor a text has none and scores NaN.

    Kinds of events count as the data set weighs them: as answers that are learned from, and among the events
    that are read, where an event's vector and its share of attention are scaled by its weight.
    """

    heads: int = field(default=2, metadata={"low": 1, "high": 64})
    """Attention heads."""
    gentle: float = field(default=0.5, metadata={"low": 0.0, "high": 10.0})
    """Item vectors move at this fraction of the learning rate: what a language model knows stays in them."""
    negatives: int = field(default=1024, metadata={"low": 1, "high": 10_000_000})
    """Items drawn evenly at each step as wrong answers, where there are more than four times as many."""
    max_items: int = field(default=100_000, metadata={"low": 1, "high": 10_000_000})
    """Only this many items, the most bought, are learned; the others are placed by their texts."""

    places_: Floats = field(init=False, repr=False, compare=False)
    """float32 (length, dimensions): added to an event's vector, by its age; 0 is the newest."""
    attention_: Floats = field(init=False, repr=False, compare=False)
    """float32 (4, dimensions + 1, dimensions): query, key, value and output maps, biases in the last row."""
    inner_: Floats = field(init=False, repr=False, compare=False)
    """float32 (dimensions + 1, hidden), biases in the last row."""
    outer_: Floats = field(init=False, repr=False, compare=False)
    """float32 (hidden + 1, dimensions), biases in the last row."""
    norms_: Floats = field(init=False, repr=False, compare=False)
    """float32 (3, 2, dimensions): scale and shift before the attention, before the hidden layer, and at the
    end."""

    kind: ClassVar[str] = "sequence"
    reason: ClassVar[str] = "fits what came before"
    learner: ClassVar[str] = "crossaisle.training.sequence.learner"
    learned: ClassVar[tuple[str, ...]] = (
        "vectors_",
        "bias_",
        "places_",
        "attention_",
        "inner_",
        "outer_",
        "norms_",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions % self.heads:
            raise ConfigError(
                f"dimensions must be a multiple of heads (found {self.dimensions} and {self.heads})"
            )

    def _read(self, histories: Histories) -> Floats:
        """float32 (n, dimensions): the block's output at the newest event."""
        n, width = len(histories), int(histories.lengths.max())
        there = np.zeros((n, width), bool)
        there[histories.owner, width - 1 - histories.age] = True
        weight = np.ones((n, width), np.float32)
        if histories.weight is not None:
            weight[there] = histories.weight
        x = np.zeros((n, width, self.dimensions), np.float32)
        x[there] = self.vectors_[histories.item] * weight[there][:, None] + self.places_[histories.age]
        last = x[:, -1]
        attended = self._attend(normed(x, self.norms_[0]), np.where(there, np.log(weight), -np.inf))
        x_last: Floats = last + affine(attended, self.attention_[3])
        hidden = gelu(affine(normed(x_last, self.norms_[1]), self.inner_))
        return normed(x_last + affine(hidden, self.outer_), self.norms_[2])

    def _attend(self, x: Floats, counted: Floats) -> Floats:
        """float32 (n, dimensions): what the newest event of each history takes from all of them.

        `counted` float32 (n, width): logarithm of each event's weight, -inf for padding.
        """
        n, width, d = x.shape
        query = affine(x[:, -1], self.attention_[0]).reshape(n, self.heads, -1)
        flat = x.reshape(n * width, d)
        key, value = (affine(flat, self.attention_[i]).reshape(n, width, self.heads, -1) for i in (1, 2))
        logits = np.einsum("nhd,nwhd->nhw", query, key) / np.float32(np.sqrt(d // self.heads))
        logits = logits + counted[:, None, :]
        share = np.exp(logits - logits.max(axis=2, keepdims=True))
        share /= share.sum(axis=2, keepdims=True)
        mixed: Floats = np.einsum("nhw,nwhd->nhd", share, value).reshape(n, d).astype(np.float32)
        return mixed
