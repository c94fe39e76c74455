"""`federate`: aggregates rounds of updates into one model. It sees only updates and numbers of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from crossaisle.data.history import Floats
from crossaisle.errors import ConfigError, DataError
from crossaisle.progress import Say, silent
from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig, Rule
from crossaisle.training.federated.participant import Sender

FEWEST = 3
"""Minimum number of shops for a robust rule to outvote a malicious one."""


@dataclass(frozen=True)
class Federated:
    """Result of federated training."""

    adapter: Adapter
    lengths: Floats
    """float32 (rounds, shops): norms of the updates as received, before clipping."""


def federate(
    shops: Sequence[Sender],
    config: FederatedConfig,
    *,
    dimensions: int,
    start: Adapter | None = None,
    say: Say = silent,
) -> Federated:
    """Federated averaging (McMahan et al., AISTATS 2017), starting from `start` or the identity.

    Raises `ConfigError` if a robust rule has fewer than three shops, and `DataError` for an update of the
    wrong shape. An update with a non-finite number is treated as zero.
    """
    if not shops:
        raise ConfigError("federate: no shop takes part")
    if config.rule != "mean" and len(shops) < FEWEST:
        raise ConfigError(f"rule = {config.rule!r} needs {FEWEST} shops or more (found {len(shops)})")
    weights = (start or Adapter.untrained(dimensions)).weights
    sizes = np.array([shop.size for shop in shops], np.float64)
    lengths = np.zeros((config.rounds, len(shops)), np.float32)
    for number in range(config.rounds):
        updates = np.stack([_checked(shop, weights, number, say) for shop in shops])
        lengths[number] = np.linalg.norm(updates, axis=(1, 2))
        weights = weights + combined(updates, sizes, config.rule, config.largest_update)
    return Federated(Adapter(weights), lengths)


def combined(updates: Floats, sizes: np.ndarray, rule: Rule, largest: float) -> Floats:
    """float32 (d, d): the aggregate of updates float32 (shops, d, d); `sizes` are weights for the mean.

    `largest`: see `FederatedConfig.largest_update`.
    """
    length = np.linalg.norm(updates, axis=(1, 2))
    if largest:
        bound = largest * float(np.median(length))
        updates = updates * np.minimum(1.0, bound / np.maximum(length, 1e-12))[:, None, None]
    if rule == "median":
        out = np.median(updates, axis=0)
    elif rule == "trimmed_mean":
        out = stats.trim_mean(updates, 1.5 / len(updates), axis=0)  # drops one at each end
    else:
        out = np.average(updates, axis=0, weights=sizes)
    made: Floats = out.astype(np.float32)
    return made


def _checked(shop: Sender, weights: Floats, number: int, say: Say) -> Floats:
    update = np.asarray(shop.update(weights, number), np.float32)
    if update.shape != weights.shape:
        raise DataError(f"{shop.name}: sent an update of shape {update.shape}, not {weights.shape}")
    if not np.isfinite(update).all():
        say(f"{shop.name}: its update of round {number + 1} has numbers that are not finite: left out")
        return np.zeros_like(weights)
    return update
