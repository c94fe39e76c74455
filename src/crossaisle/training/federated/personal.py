"""Personalization: a shop adapts the shared map locally, and nothing of that leaves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Sender
from crossaisle.training.federated.server import federate

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Weights of the private map in a mixture that are tried."""


ShopOf = Callable[[FederatedConfig], Sender]
"""Creates a shop's participant for given settings; the shop itself takes the steps."""


@dataclass(frozen=True)
class Personal:
    """A shop's personal adapter, and how it is composed."""

    adapter: Adapter
    base: str
    """The map mixed with the private one: "shared", or "tuned", the shared one after further local steps."""
    share: float
    """Weight of the private map; 0: none."""
    worth: float
    """Its score from `judge`."""


def own_steps(shop_of: ShopOf, shared: Adapter, config: FederatedConfig) -> Adapter:
    """The shared map after `config.rounds` further rounds by the shop alone.

    Fine-tuning after federated averaging, FedAvg+ (Wang et al., Federated Evaluation of On-device
    Personalization, 2019).
    """
    return federate([shop_of(config)], config, dimensions=len(shared.weights), start=shared).adapter


def beside(one: Adapter, other: Adapter, share: float) -> Adapter:
    """A weighted mean of two maps: (1 - share) of `one` and `share` of `other`.

    Deng et al., Adaptive Personalized Federated Learning (2020).
    """
    return Adapter(((1.0 - share) * one.weights + share * other.weights).astype(one.weights.dtype))


def personal(
    shop_of: ShopOf,
    shared: Adapter,
    private: Adapter,
    config: FederatedConfig,
    judge: Callable[[Adapter], float],
    *,
    rates: Sequence[float],
) -> Personal:
    """The best, according to `judge`, of the shared map, that after local steps at several rates, and
    mixtures of each with the private map.

    `private`: the map that the shop learned alone. It is among the candidates, so the choice is never worse
    on the shop's validation than training alone.
    """
    bases = [("shared", shared)]
    bases += [("tuned", own_steps(shop_of, shared, replace(config, learning_rate=rate))) for rate in rates]
    found: list[Personal] = []
    for name, base in bases:
        for share in SHARES:
            adapter = beside(base, private, share)
            found.append(Personal(adapter, name, share, judge(adapter)))
    return max(found, key=lambda one: one.worth)
