"""Reliability of probabilities: did a tenth of what was given a probability of a tenth come true?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Groups of equal weight, from the lowest chance to the highest."""

    chance: npt.NDArray[np.float64]
    """float64 (bins,): mean probability."""
    share: npt.NDArray[np.float64]
    """float64 (bins,): what was right."""
    weight: npt.NDArray[np.float64]
    """float64 (bins,): sums to 1."""
    noise: npt.NDArray[np.float64]
    """float64 (bins,): standard deviation of `share` if each chance were right."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: the mean gap between chance and share (Naeini et al., AAAI
        2015), over groups of equal weight because most chances are tiny."""
        return float((self.weight * np.abs(self.chance - self.share)).sum())

    @property
    def error_by_chance(self) -> float:
        """What `error` would be about if each chance were right: shares of few cases miss their chance."""
        return float((self.weight * self.noise).sum() * np.sqrt(2 / np.pi))

    @property
    def relative_error(self) -> float:
        """The same as a share of what was right in all: tells when small chances are all off."""
        return self.error / max(float((self.weight * self.share).sum()), 1e-12)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "ece": self.error,
            "ece_by_chance": self.error_by_chance,
            "relative": self.relative_error,
            "chance": self.chance.tolist(),
            "share": self.share.tolist(),
            "weight": self.weight.tolist(),
        }


def reliability(
    chances: npt.NDArray[np.floating],
    right: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.floating] | None = None,
    *,
    bins: int = BINS,
) -> Reliability:
    """From probabilities (m,), what came true (m,), and how much each one counts."""
    order = np.argsort(chances, kind="stable")
    p, y = np.asarray(chances, np.float64)[order], right[order].astype(np.float64)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)[order]
    if not len(p):
        return Reliability(*np.empty((4, 0)))
    total = np.cumsum(w)
    edges = np.unique(np.searchsorted(total - w, np.linspace(0.0, total[-1], bins + 1)[:-1]))
    edges = edges[edges < len(p)]
    mass = np.add.reduceat(w, edges)
    return Reliability(
        np.add.reduceat(p * w, edges) / mass,
        np.add.reduceat(y * w, edges) / mass,
        mass / mass.sum(),
        np.sqrt(np.add.reduceat(w * w * p * (1 - p), edges)) / mass,
    )
