"""`Blend`: the weighted sum of several scorers, with one set of weights per placement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.topk import Mask


@dataclass(kw_only=True)
class Blend:
    """Scores are sums, so that each one can be taken apart again into its evidence."""

    parts: Mapping[str, Scorer]
    """Scorers by name."""
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    """placement -> part -> weight; chosen on validation. `unseen` is `for_you` without what the user had."""
    remember: bool = False
    """Keep the parts' scores of the last batch, for evaluations that ask one batch for many placements."""
    _last: tuple[Histories, dict[str, Floats]] | None = field(default=None, repr=False, compare=False)

    def fit(self, dataset: Dataset) -> Blend:
        """Fits every part."""
        for part in self.parts.values():
            part.fit(dataset)
        return self

    def weights_for(self, placement: str) -> dict[str, float]:
        """The weights of a placement, zero ones left out; `for_you` stands in for one never tuned."""
        chosen = self.weights.get(placement) or self.weights.get("for_you")
        chosen = chosen or dict.fromkeys(self.parts, 1.0)
        return {name: w for name, w in chosen.items() if w}

    def score_rows(self, histories: Histories, placement: str = "for_you") -> Floats:
        """float32 (n, n_items); NaN only where no part can score."""
        total: Floats | None = None
        known: np.ndarray | None = None
        for name, weight in self.weights_for(placement).items():
            scores = self.part_scores(name, histories)
            finite = ~np.isnan(scores)
            part = np.where(finite, scores, 0.0) * np.float32(weight)
            total = part if total is None else total + part
            known = finite if known is None else known | finite
        if total is None or known is None:
            raise ValueError("a blend needs at least one part with a weight")
        total[~known] = np.nan
        return total.astype(np.float32)

    def best(
        self, histories: Histories, placement: str, k: int, among: Mask | None = None
    ) -> list[tuple[Rows, Floats]]:
        """For each history, rows that hold its best items and their exact scores, unordered.

        Every part nominates its own `k` best; an item that no part puts among them is not found.
        `among` bool (n_items,): the items that may be found.
        """
        nominated = [self.parts[name].nominate(histories, k, among) for name in self.weights_for(placement)]
        rows = [np.unique(np.concatenate(one)) for one in zip(*nominated, strict=True)]
        return list(zip(rows, self.score_at(histories, rows, placement), strict=True))

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows, float32; NaN where no part can score."""
        total = [np.zeros(len(at), np.float32) for at in rows]
        known = [np.zeros(len(at), bool) for at in rows]
        for name, weight in self.weights_for(placement).items():
            for place, scores in enumerate(self.parts[name].score_at(histories, rows)):
                finite = ~np.isnan(scores)
                total[place] += np.where(finite, scores, 0.0) * np.float32(weight)
                known[place] |= finite
        return [np.where(k, t, np.float32(np.nan)) for t, k in zip(total, known, strict=True)]

    def part_scores(self, name: str, histories: Histories) -> Floats:
        """float32 (n, n_items) of one part; not to be changed when `remember` is on."""
        if not self.remember:
            return self.parts[name].score_rows(histories)
        if self._last is None or self._last[0] is not histories:
            self._last = histories, {}
        known = self._last[1]
        if name not in known:
            known[name] = self.parts[name].score_rows(histories)
        return known[name]
