"""`FederatedConfig`: settings of federated training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["mean", "trimmed_mean", "median"]


@dataclass(frozen=True, kw_only=True)
class FederatedConfig:
    """Rounds of local steps, and the aggregation of their updates."""

    rounds: int = field(default=20, metadata={"low": 1})
    """Number of exchanges: in each, every shop sends one update and receives one model."""
    local_steps: int = field(default=10, metadata={"low": 1})
    """Steps of each shop between exchanges."""
    users: int = field(default=256, metadata={"low": 1})
    """Expected users per step: each is drawn with equal probability (Poisson sampling), and gives one
    example."""
    negatives: int = field(default=512, metadata={"low": 1})
    """Items drawn uniformly from the shop's catalogue as negatives for a step."""
    temperature: float = field(default=0.03, metadata={"low": 1e-3})
    """Scores are divided by the temperature."""
    learning_rate: float = field(default=0.3, metadata={"low": 0.0})
    """Learning rate of a shop's steps (plain SGD); decays linearly to a tenth."""
    clip: float = field(default=20.0, metadata={"low": 1e-6})
    """Maximum norm of one user's gradient."""
    noise: float = field(default=0.0, metadata={"low": 0.0})
    """Standard deviation of the Gaussian noise added to each coordinate of a step, as a multiple of
    `clip`."""
    largest_update: float = field(default=2.0, metadata={"low": 0.0})
    """Updates are clipped to this multiple of the median norm of a round's updates; 0: no clipping."""
    rule: Rule = "mean"
    """How updates are aggregated: their mean; or coordinate-wise, the mean without the largest and the
    smallest, or the median (Yin et al., Byzantine-Robust Distributed Learning, ICML 2018)."""
    seed: int = field(default=0, metadata={"low": 0})
