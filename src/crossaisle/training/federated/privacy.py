"""How much of a single user an update can tell, in the terms of differential privacy."""

from __future__ import annotations

from crossaisle.errors import MissingDependencyError
from crossaisle.training.federated.config import FederatedConfig


def epsilon(config: FederatedConfig, users: int, *, delta: float) -> float:
    """Epsilon of all updates that a shop of `users` users sent, at `delta`; infinite without noise.

    The unit is one user with all events, added or left out. A step draws each user with the same chance
    (Poisson sampling), takes one example of each, cuts its gradient to `clip` and adds noise before anything
    leaves the shop, so the guarantee needs no trust in the others. Renyi accounting (Mironov, 2017) by
    Google's dp-accounting. Choose `delta` well below 1 / `users`. Titles and the number of users are taken
    for public. Raises `MissingDependencyError` without dp-accounting.
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
