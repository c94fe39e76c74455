"""`FederatedConfig`: how shops learn together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["mean", "trimmed_mean", "median"]


@dataclass(frozen=True, kw_only=True)
class FederatedConfig:
    """Rounds of local steps, and what is made of their updates."""

    rounds: int = field(default=20, metadata={"low": 1})
    """Exchanges: each shop sends one update, and gets one model."""
    local_steps: int = field(default=10, metadata={"low": 1})
    """Steps of each shop between two exchanges."""
    users: int = field(default=256, metadata={"low": 1})
    """Users of a step, on average: each is drawn with the same chance, and gives one example."""
    negatives: int = field(default=512, metadata={"low": 1})
    """Items of the shop's catalogue, drawn evenly, that the right one competes with in a step."""
    temperature: float = field(default=0.03, metadata={"low": 1e-3})
    """Scores are divided by it."""
    learning_rate: float = field(default=0.3, metadata={"low": 0.0})
    """Of a shop's steps (plain SGD); falls along a line to a tenth."""
    clip: float = field(default=20.0, metadata={"low": 1e-6})
    """Largest norm of what one user gives to a step."""
    noise: float = field(default=0.0, metadata={"low": 0.0})
    """Standard deviation of the Gaussian noise in each coordinate of a step, as a multiple of `clip`."""
    largest_update: float = field(default=2.0, metadata={"low": 0.0})
    """Longer updates are cut to this multiple of the median length of a round's updates; 0: never."""
    rule: Rule = "mean"
    """What is made of the updates: their mean; coordinate by coordinate, the mean without the largest and the
    smallest, or the median (Yin et al., Byzantine-Robust Distributed Learning, ICML 2018)."""
    seed: int = field(default=0, metadata={"low": 0})
