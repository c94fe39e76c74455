"""`compare`: simulates, in one process, shops that train an adapter without pooling events, and compares it
with pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from crossaisle import artifact
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ConfigError, DataError
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.evaluate.ranking import first_places
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.evaluate.slices import slices_of
from crossaisle.progress import Say, silent
from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Participant
from crossaisle.training.federated.personal import Personal, personal
from crossaisle.training.federated.pool import Pool
from crossaisle.training.federated.server import federate

KIND = "adapter"
K = 10
RATES = (0.2, 0.5, 1.0)
"""Learning rates to select from on validation."""
WAYS = ("text alone", "each alone", "federated", "pooled", "personal")
On = Literal["validation", "test"]


@dataclass(frozen=True)
class Member:
    """One shop with its split and item vectors, float32 (n_items, d), in the common space."""

    name: str
    dataset: Dataset
    split: Split
    vectors: Floats

    def cases(self, on: On, most: int) -> EvalCases:
        """A random sample of at most `most` cases, with a fixed seed."""
        cases = self.split.test if on == "test" else self.split.validation
        return cases.take(np.sort(np.random.default_rng(7).permutation(len(cases))[:most]))

    def gains(self, adapter: Adapter, on: On, most: int) -> Floats:
        """float32 (cases,): NDCG@10 over all items, except those in the customer's history."""
        cases = self.cases(on, most)
        known = self.split.past if on == "test" else self.split.train
        whole = [s for s in slices_of(cases, self.dataset.taxonomy, known.item_counts) if s.name == "all"]
        scorers = {"it": lambda histories: adapter.score_rows(histories, self.vectors)}
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        places = first_places(scorers, cases, self.dataset.taxonomy, whole, k=K)["it"]
        relevant = Relevant(owner, places.rank["open"], len(cases), places.ties["open"])
        return np.nan_to_num(ndcg(relevant, K)).astype(np.float32)

    def worth(self, adapter: Adapter, most: int) -> float:
        """Mean NDCG@10 on validation."""
        return float(self.gains(adapter, "validation", most).mean())


class Row(NamedTuple):
    """Results of one shop: NDCG@10 per method, and differences with 95 % intervals."""

    shop: str
    ndcg: dict[str, float]
    over_alone: dict[str, tuple[float, float, float]]
    """For `federated` and `personal`: difference to training alone, lower and upper bound."""
    chosen: str
    """How its personal adapter is composed."""


@dataclass(frozen=True)
class Comparison:
    """Results of federated training."""

    rows: list[Row]
    shared: Adapter
    own: list[Adapter]
    """The personal adapter of each shop."""
    rate: float
    """Learning rate of the federated rounds, selected on validation."""


def in_one_space(
    shops: Sequence[tuple[str, Dataset, Split]], encode: Callable[[Sequence[str]], Floats]
) -> tuple[list[Member], Whitening]:
    """Shops with vectors whitened by the mean and covariance of all catalogues.

    Catalogues are public, and these statistics are additive. `encode`: texts -> float32 (n, d). `ConfigError`
    for a single shop, `DataError` for one without validation or test cases.
    """
    if len(shops) < 2:
        raise ConfigError("federate needs two shops or more: give a CONFIG.toml of each")
    for name, _, split in shops:
        if not len(split.validation) or not len(split.test):
            raise DataError(f"{name}: has too few events to hold some out, so nothing can be compared")
    raw = [encode(dataset.item_texts) for _, dataset, _ in shops]
    whitening = Whitening.fit(np.concatenate(raw))
    members = [
        Member(name, dataset, split, whitening.apply(vectors))
        for (name, dataset, split), vectors in zip(shops, raw, strict=True)
    ]
    return members, whitening


def compare(
    members: Sequence[Member],
    config: FederatedConfig,
    *,
    rates: Sequence[float] = RATES,
    cases: int = 2000,
    on: On = "test",
    say: Say = silent,
) -> Comparison:
    """Trains shops alone, federated and pooled; rates and personal adapters are selected on validation.

    A shop alone, and the pool, take as many steps as all shops together; the pool's are distributed in
    proportion to the shops' users.
    """
    longer = replace(config, local_steps=config.local_steps * len(members))

    def best(make: Callable[[float], Adapter], judges: Sequence[Member]) -> tuple[Adapter, float]:
        made = {rate: make(rate) for rate in rates}
        worth = {
            rate: float(np.mean([member.worth(adapter, cases) for member in judges]))
            for rate, adapter in made.items()
        }
        chosen = max(worth, key=worth.__getitem__)
        say(f"rate {chosen:g} of {', '.join(f'{r:g}: {w:.4f}' for r, w in worth.items())} on validation")
        return made[chosen], chosen

    def alone_of(member: Member) -> Adapter:
        return best(lambda rate: together([member], replace(longer, learning_rate=rate)), [member])[0]

    def personal_of(member: Member, private: Adapter) -> Personal:
        return personal(
            lambda settings: participants([member], settings)[0],
            shared,
            private,
            longer,
            lambda one: member.worth(one, cases),
            rates=rates,
        )

    alone = [alone_of(member) for member in members]
    shared, rate = best(lambda rate: together(members, replace(config, learning_rate=rate)), members)
    pool, _ = best(lambda rate: pooled(members, replace(longer, learning_rate=rate)), members)
    untrained = Adapter.untrained(len(shared.weights))
    rows, own = [], []
    for member, private in zip(members, alone, strict=True):
        chosen = personal_of(member, private)
        own.append(chosen.adapter)
        what = f"{chosen.base}, {chosen.share:g} private"
        say(f"{member.name}: {what}: {chosen.worth:.4f} on validation")
        adapters = dict(zip(WAYS, (untrained, private, shared, pool, chosen.adapter), strict=True))
        rows.append(_row(member, adapters, what, on, cases))
    return Comparison(rows, shared, own, rate)


def _row(member: Member, adapters: dict[str, Adapter], what: str, on: On, cases: int) -> Row:
    gains = {name: member.gains(adapter, on, cases) for name, adapter in adapters.items()}
    over = {}
    for name in ("federated", "personal"):
        gap, _ = Bootstrap(n=len(gains[name]), resamples=1000).difference(
            gains[name][:, None], gains["each alone"][:, None]
        )
        over[name] = gap.of(0)
    return Row(member.name, {name: float(each.mean()) for name, each in gains.items()}, over, what)


def participants(members: Sequence[Member], config: FederatedConfig) -> list[Participant]:
    """The shops' participants, which see only training events."""
    return [Participant(member.split.train, member.vectors, config) for member in members]


def together(members: Sequence[Member], config: FederatedConfig) -> Adapter:
    """The adapter that some shops learn together, or one alone."""
    found = federate(participants(members, config), config, dimensions=members[0].vectors.shape[1])
    return found.adapter


def pooled(members: Sequence[Member], config: FederatedConfig) -> Adapter:
    """The adapter learned from the events of all shops in one place."""
    pool = Pool(participants(members, config), config)
    return federate([pool], config, dimensions=members[0].vectors.shape[1]).adapter


def save_adapter(adapter: Adapter, whitening: Whitening, encoder: str, folder: Path) -> None:
    """Saves a folder: the map, the whitening applied to the encoder's vectors before it, and the encoder's
    name."""
    with artifact.writing(folder, KIND) as fresh:
        artifact.write_json(fresh / "config.json", {"encoder": encoder})
        arrays = {"weights": adapter.weights, "mean": whitening.mean_, "matrix": whitening.matrix_}
        artifact.write_arrays(fresh, arrays)


def load_adapter(folder: Path) -> tuple[Adapter, Whitening, str]:
    """The inverse of `save_adapter`; `ArtifactError` if the folder is not such a folder or is damaged."""
    path = artifact.check(folder, KIND)
    with artifact.reading(path):
        arrays, settings = artifact.read_arrays(path), artifact.read_object(path / "config.json")
        whitening = Whitening(mean_=arrays["mean"], matrix_=arrays["matrix"])
        return Adapter(arrays["weights"]), whitening, str(settings["encoder"])


def described(found: Comparison) -> list[dict[str, Any]]:
    """The rows, ready for JSON."""
    return [
        row._asdict() | {"of_pooled": {w: row.ndcg[w] / row.ndcg["pooled"] for w in row.over_alone}}
        for row in found.rows
    ]
