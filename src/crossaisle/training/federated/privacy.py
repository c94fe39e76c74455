"""Differential privacy: how much the updates reveal about a single user."""

from __future__ import annotations

from crossaisle.errors import MissingDependencyError
from crossaisle.training.federated.config import FederatedConfig


def epsilon(config: FederatedConfig, users: int, *, delta: float) -> float:
    """Epsilon of all updates sent by a shop with `users` users, at `delta`; infinite without noise.

    The privacy unit is one user with all their events, added or removed. A step samples users with equal
    probability (Poisson sampling), takes one example of each, clips its gradient to `clip`, and adds noise
    before anything leaves the shop, so the guarantee requires no trust in others. Renyi accounting (Mironov,
    2017) by Google's dp-accounting. Choose `delta` well below 1 / `users`. Titles and the number of users are
    assumed to be public. Raises `MissingDependencyError` without dp-accounting.
    """
    if config.noise == 0:
        return float("inf")
    try:
        from dp_accounting import dp_event, rdp
    except ImportError:
        raise MissingDependencyError("dp-accounting", "federated", "the privacy of updates") from None
    step = dp_event.PoissonSampledDpEvent(
        min(config.users / users, 1.0), dp_event.GaussianDpEvent(config.noise)
    )
    accountant = rdp.RdpAccountant()
    accountant.compose(dp_event.SelfComposedDpEvent(step, config.rounds * config.local_steps))
    return float(accountant.get_epsilon(delta))
