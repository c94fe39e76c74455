"""Three shops that learn one adapter by exchanging updates, beside each alone and beside pooled events.

    python benchmarks/federated.py [--root ../shared/data] [--on test] [--rounds 20] [--cases 2000]

Data: `amazon14`, of which each category is a shop with its own items and customers. Every customer's last
event is the test, the one before validation. Figures are NDCG@10 among all items of the shop that the
customer lacks, by full ranking. All ways take their best learning rate of --rates on validation; a shop alone
and the pool take as many steps as all shops together, pooled ones in proportion to the shops' users.

Then: a shop that sends poison, under each rule; and what noise costs, with its epsilon.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import load_catalogue
from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.split import leave_last_out
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import MissingDependencyError
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.evaluate.ranking import first_places
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.evaluate.slices import slices_of
from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Participant
from crossaisle.training.federated.privacy import epsilon
from crossaisle.training.federated.server import federate

SHOPS = ("Beauty", "Toys & Games", "Clothing, Shoes & Jewelry")
On = Literal["validation", "test"]


@dataclass(frozen=True)
class Shop:
    """One shop with its split and its items' vectors."""

    name: str
    dataset: Dataset
    split: Split
    vectors: Floats

    def cases(self, on: On, most: int) -> EvalCases:
        cases = self.split.test if on == "test" else self.split.validation
        rows = np.sort(np.random.default_rng(7).permutation(len(cases))[:most])
        return cases.take(rows)

    def gains(self, adapters: Mapping[str, Adapter], on: On, most: int) -> dict[str, Floats]:
        """NDCG@10 per case."""
        cases = self.cases(on, most)
        known = self.split.past if on == "test" else self.split.train
        whole = [s for s in slices_of(cases, self.dataset.taxonomy, known.item_counts) if s.name == "all"]
        scorers = {
            name: lambda h, adapter=adapter: adapter.score_rows(h, self.vectors)
            for name, adapter in adapters.items()
        }
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        out = {}
        for name, places in first_places(scorers, cases, self.dataset.taxonomy, whole, k=10).items():
            relevant = Relevant.spread(owner, places.rank["open"], places.ties["open"], len(cases))
            out[name] = np.nan_to_num(ndcg(relevant, 10))
        return out


class Pool:
    """All events in one place: steps of the shops in turn, in proportion to their users."""

    name = "pool"

    def __init__(self, members: Sequence[Participant], config: FederatedConfig) -> None:
        self._members, self._config = members, config
        self.size = sum(member.size for member in members)

    def update(self, weights: Floats, number: int) -> Floats:
        rng = np.random.default_rng([self._config.seed, number])
        share = np.array([member.size for member in self._members]) / self.size
        rate = self._config.learning_rate * (1.0 - 0.9 * number / self._config.rounds)
        local = weights.copy()
        for place in rng.choice(len(share), self._config.local_steps, p=share):
            local -= rate * self._members[place]._step(local, rng)
        return local - weights


class Poisoned:
    """A shop that sends the opposite of what it learned, many times over."""

    def __init__(self, inner: Participant, times: float) -> None:
        self.inner, self.times, self.name, self.size = inner, times, inner.name, inner.size

    def update(self, weights: Floats, number: int) -> Floats:
        return -self.times * self.inner.update(weights, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--on", choices=["validation", "test"], default="test")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--rates", default="0.1,0.3,1")
    options = parser.parse_args()
    shops = opened(options.root)
    for shop in shops:
        print(f"{shop.name}: {shop.dataset.n_items:,} items, {shop.dataset.n_users:,} customers", flush=True)
    usual = FederatedConfig(rounds=options.rounds)
    bench = Bench(shops, options.cases, [float(rate) for rate in options.rates.split(",")])
    longer = replace(usual, local_steps=usual.local_steps * len(shops))
    found: dict[str, list[Adapter]] = {
        "text alone": [Adapter.untrained(shops[0].vectors.shape[1])] * len(shops)
    }
    found["each alone"] = [
        bench.best(lambda rate, shop=shop: alone(shop, replace(longer, learning_rate=rate)), [shop])
        for shop in shops
    ]
    together = bench.best(lambda rate: joint(shops, replace(usual, learning_rate=rate)), shops)
    found["federated"] = [together] * len(shops)
    found["pooled"] = [
        bench.best(lambda rate: pooled(shops, replace(longer, learning_rate=rate)), shops)
    ] * len(shops)
    report(shops, found, options.on, options.cases)
    rate = bench.chosen
    robust(shops, replace(usual, learning_rate=rate), options.on, options.cases)
    private(shops, replace(usual, learning_rate=rate), options.on, options.cases)


class Bench:
    """Chooses learning rates on validation."""

    def __init__(self, shops: Sequence[Shop], cases: int, rates: list[float]) -> None:
        self.cases, self.rates, self.chosen = cases, rates, rates[0]

    def best(self, make: Callable[[float], Adapter], shops: Sequence[Shop]) -> Adapter:
        made = {rate: make(rate) for rate in self.rates}
        worth = {
            rate: float(
                np.mean([shop.gains({"it": a}, "validation", self.cases)["it"].mean() for shop in shops])
            )
            for rate, a in made.items()
        }
        self.chosen = max(worth, key=worth.__getitem__)
        print(f"  rate {self.chosen:g} of {worth} on validation", flush=True)
        return made[self.chosen]


def opened(root: Path) -> list[Shop]:
    """The shops, in one space: whitened by the mean and covariance of all catalogues, which add up."""
    datasets = [load_catalogue("amazon14", root=root, domain=name).dataset for name in SHOPS]
    raw = [pretrained("minilm").encode(dataset.item_texts, progress=True) for dataset in datasets]
    whitening = Whitening.fit(np.concatenate(raw))
    return [
        Shop(name, dataset, leave_last_out(dataset), whitening.apply(vectors))
        for name, dataset, vectors in zip(SHOPS, datasets, raw, strict=True)
    ]


def participants(shops: Sequence[Shop], config: FederatedConfig) -> list[Participant]:
    return [Participant(shop.split.train, shop.vectors, config) for shop in shops]


def alone(shop: Shop, config: FederatedConfig) -> Adapter:
    return federate(participants([shop], config), config, dimensions=shop.vectors.shape[1]).adapter


def joint(shops: Sequence[Shop], config: FederatedConfig) -> Adapter:
    return federate(participants(shops, config), config, dimensions=shops[0].vectors.shape[1]).adapter


def pooled(shops: Sequence[Shop], config: FederatedConfig) -> Adapter:
    pool = Pool(participants(shops, config), config)
    return federate([pool], config, dimensions=shops[0].vectors.shape[1]).adapter


def report(shops: Sequence[Shop], found: Mapping[str, Sequence[Adapter]], on: On, most: int) -> None:
    print(f"\nNDCG@10 on {on}, full ranking")
    print(f"{'shop':<28}" + "".join(f"{name:>14}" for name in found) + f"{'of pooled':>12}{'over alone':>30}")
    for place, shop in enumerate(shops):
        gains = shop.gains({name: adapters[place] for name, adapters in found.items()}, on, most)
        gap, _ = Bootstrap(n=len(gains["federated"]), resamples=1000).difference(
            gains["federated"][:, None], gains["each alone"][:, None]
        )
        difference, low, high = gap.of(0)
        print(
            f"{shop.name:<28}"
            + "".join(f"{gains[name].mean():>14.4f}" for name in found)
            + f"{gains['federated'].mean() / gains['pooled'].mean():>12.3f}"
            + f"{difference:>+12.4f} [{low:+.4f}, {high:+.4f}]",
            flush=True,
        )


def mean_of(shops: Sequence[Shop], adapter: Adapter, on: On, most: int) -> list[float]:
    return [float(shop.gains({"it": adapter}, on, most)["it"].mean()) for shop in shops]


def told(values: Sequence[float]) -> str:
    return "  ".join(f"{value:.4f}" for value in values)


def robust(shops: Sequence[Shop], config: FederatedConfig, on: On, most: int) -> None:
    print("\nthe last shop sends the opposite of what it learned, 20 times over")
    for rule, largest in (("mean", 0.0), ("mean", 2.0), ("median", 2.0)):
        chosen = replace(config, rule=rule, largest_update=largest)
        for name, poison in (("honest", False), ("poisoned", True)):
            start = time.perf_counter()
            members = participants(shops, chosen)
            senders = [*members[:-1], Poisoned(members[-1], 20.0) if poison else members[-1]]
            adapter = federate(senders, chosen, dimensions=shops[0].vectors.shape[1]).adapter
            cut = f"cut at {largest:g} medians" if largest else "not cut"
            print(
                f"{rule:<8}{cut:<20}{name:<10}{told(mean_of(shops, adapter, on, most))}"
                f"   {time.perf_counter() - start:.0f} s",
                flush=True,
            )


def private(shops: Sequence[Shop], config: FederatedConfig, on: On, most: int) -> None:
    print("\nnoise (a multiple of what one user may give), epsilon per shop at delta = 1e-5")
    for noise in (0.5, 1.0):
        # Many users and few steps: that is where a shop of this size has signal left.
        chosen = replace(
            config, noise=noise, users=4096, clip=1.0, rounds=10, local_steps=5, learning_rate=3.0
        )
        members = participants(shops, chosen)
        adapter = federate(members, chosen, dimensions=shops[0].vectors.shape[1]).adapter
        try:
            budget = told([epsilon(chosen, member.size, delta=1e-5) for member in members])
        except MissingDependencyError as error:
            budget = str(error)
        print(f"noise {noise:g}: {told(mean_of(shops, adapter, on, most))}   epsilon {budget}", flush=True)


if __name__ == "__main__":
    main()
