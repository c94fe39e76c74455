"""What a shop makes of the shared map for itself: nothing of it leaves the shop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Sender
from crossaisle.training.federated.server import federate

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of a private map beside another that are tried."""


ShopOf = Callable[[FederatedConfig], Sender]
"""A shop's side under some settings: it is the shop that takes the steps."""


@dataclass(frozen=True)
class Personal:
    """A shop's own adapter, and how it came about."""

    adapter: Adapter
    base: str
    """What stands beside the private map: "shared", or "tuned", with own steps from the shared map on."""
    share: float
    """Of the private map; 0: none."""
    worth: float
    """What `judge` said of it."""


def own_steps(shop_of: ShopOf, shared: Adapter, config: FederatedConfig) -> Adapter:
    """The shared map after `config.rounds` rounds of the shop alone.

    Fine-tuning after federated averaging, FedAvg+ (Wang et al., Federated Evaluation of On-device
    Personalization, 2019).
    """
    return federate([shop_of(config)], config, dimensions=len(shared.weights), start=shared).adapter


def beside(one: Adapter, other: Adapter, share: float) -> Adapter:
    """Scores are sums: (1 - share) of one map's and `share` of the other's.

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
    """The best of: the shared map, own steps from it on at several rates, and each beside the private map.

    `private`: what the shop learned alone, so that what is chosen is, to `judge` (the shop's validation),
    never worse than being alone.
    """
    bases = [("shared", shared)]
    bases += [("tuned", own_steps(shop_of, shared, replace(config, learning_rate=rate))) for rate in rates]
    found: list[Personal] = []
    for name, base in bases:
        for share in SHARES:
            adapter = beside(base, private, share)
            found.append(Personal(adapter, name, share, judge(adapter)))
    return max(found, key=lambda one: one.worth)
