"""`TwoTower`: a tower that reads an item's text beside one that reads the newest events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crossaisle.data.history import Floats, Histories
from crossaisle.errors import ConfigError
from crossaisle.models.scorers.vectors.history_vectors import HistoryVectors, affine, gelu, normed


@dataclass(kw_only=True)
class TwoTower(HistoryVectors):
    """What comes next, from texts alone: no item has a vector of its own.

    The item tower maps the encoder's vector of an item's text and scales it to unit length. The history tower
    pools the item vectors of the newest events by attention with learned queries, passes the sum through a
    hidden layer and scales it to the length `1 / temperature`. Learned under a softmax over the answers of a
    batch, corrected for how often each is one (Yi et al., Sampling-Bias-Corrected Neural Modeling for Large
    Corpus Item Recommendations, RecSys 2019). Both towers start as the identity, so that the untrained model
    ranks by the texts of the newest events. An item without a text scores NaN, and one without events is
    scored like any other.

    Kinds of events count as the data set weighs them: as answers, and in the share of attention.
    """

    heads: int = field(default=2, metadata={"low": 1, "high": 64})
    """Queries of the attention."""
    dimensions: int = field(default=256, metadata={"low": 1, "high": 4096})
    """Length of the vectors, and directions of the text vectors that are read."""
    hidden: int = field(default=256, metadata={"low": 1, "high": 100_000})
    """Units of the hidden layer of each tower."""
    temperature: float = field(default=0.07, metadata={"low": 0.001, "high": 10.0})
    """What cosines are divided by before the softmax."""

    queries_: Floats = field(init=False, repr=False, compare=False)
    """float32 (heads, dimensions): what an event's vector is compared with for its share of attention."""
    ages_: Floats = field(init=False, repr=False, compare=False)
    """float32 (length, heads): added to the logits of attention, by age; 0 is the newest."""
    values_: Floats = field(init=False, repr=False, compare=False)
    """float32 (heads, dimensions, dimensions): through which each head's sum passes."""
    inner_: Floats = field(init=False, repr=False, compare=False)
    """float32 (dimensions + 1, hidden), biases in the last row."""
    outer_: Floats = field(init=False, repr=False, compare=False)
    """float32 (hidden + 1, dimensions), biases in the last row."""
    norm_: Floats = field(init=False, repr=False, compare=False)
    """float32 (2, dimensions): scale and shift before the hidden layer."""

    kind: ClassVar[str] = "two_tower"
    reason: ClassVar[str] = "text that follows such texts"
    learner: ClassVar[str] = "crossaisle.training.sequence.two_tower"
    learned: ClassVar[tuple[str, ...]] = (
        "vectors_",
        "bias_",
        "queries_",
        "ages_",
        "values_",
        "inner_",
        "outer_",
        "norm_",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder == "random":
            raise ConfigError('encoder must name a text encoder or be "none" (found "random")')

    def _read(self, histories: Histories) -> Floats:
        """float32 (n, dimensions): rows of length `1 / temperature`."""
        # Sums in float64, so that a history comes to the same among others and alone.
        x = self.vectors_[histories.item].astype(np.float64)  # (events, d)
        logits = x @ self.queries_.T + self.ages_[histories.age]  # (events, heads)
        if histories.weight is not None:
            logits += np.log(histories.weight)[:, None]
        start, owner = histories.indptr[:-1], histories.owner
        share = np.exp(logits - np.maximum.reduceat(logits, start)[owner])
        share /= np.add.reduceat(share, start)[owner]
        pooled = np.zeros((len(histories), self.vectors_.shape[1]))
        for head, value in enumerate(self.values_):
            pooled += np.add.reduceat(share[:, [head]] * x, start) @ value
        hidden = gelu(affine(normed(pooled.astype(np.float32), self.norm_), self.inner_))
        out = pooled + affine(hidden, self.outer_)
        length = np.linalg.norm(out, axis=1, keepdims=True)
        scaled: Floats = (out / np.maximum(length * self.temperature, 1e-12)).astype(np.float32)
        return scaled
