"""`Blend`: the weighted sum of several scorers, with one set of weights per placement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.query import Placement
from crossaisle.models.base import Scorer


@dataclass(kw_only=True)
class Blend:
    """Scores are sums, so that each one can be taken apart again into its evidence."""

    parts: Mapping[str, Scorer]
    """Scorers by name."""
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    """placement -> part -> weight; chosen on validation."""

    def fit(self, dataset: Dataset) -> Blend:
        """Fits every part."""
        for part in self.parts.values():
            part.fit(dataset)
        return self

    def weights_for(self, placement: Placement) -> dict[str, float]:
        """The weights of a placement, zero ones left out; `for_you` stands in for one never tuned."""
        chosen = self.weights.get(placement) or self.weights.get("for_you")
        chosen = chosen or dict.fromkeys(self.parts, 1.0)
        return {name: w for name, w in chosen.items() if w}

    def score_rows(self, histories: Histories, placement: Placement = "for_you") -> Floats:
        """float32 (n, n_items); NaN only where no part can score."""
        total: Floats | None = None
        known: np.ndarray | None = None
        for name, weight in self.weights_for(placement).items():
            scores = self.parts[name].score_rows(histories)
            finite = ~np.isnan(scores)
            part = np.where(finite, scores, 0.0) * np.float32(weight)
            total = part if total is None else total + part
            known = finite if known is None else known | finite
        if total is None or known is None:
            raise ValueError("a blend needs at least one part with a weight")
        total[~known] = np.nan
        return total.astype(np.float32)
