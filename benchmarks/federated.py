"""Compares three shops that learn an adapter by exchanging updates with each alone, and with a pool.

    python benchmarks/federated.py --cases 2000 --short
    python benchmarks/federated.py [--root DATA] [--on test] [--rounds 20] [--cases 2000]

Each category of `amazon14` is a shop with its own items and customers. Every customer's last event is the
test, the one before it validation. Figures are NDCG@10, by full ranking, among all items of the shop that the
customer lacks. Every way takes its best learning rate of `--rates` on validation. A shop alone and the pool
of all events take as many steps as all shops together; pooled steps are in proportion to the users of each
shop.

"Personal" is what each shop makes of the shared adapter: it may take steps of its own from there, and mix in
what it learned alone, whichever is best on its validation.

Without `--short`, two more tables: a shop that sends poisoned updates, under each rule of aggregation; and
what noise costs, with its epsilon.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossaisle.data.datasets import load_catalogue
from crossaisle.data.history import Floats
from crossaisle.data.splits.split import leave_last_out
from crossaisle.encoders.cache import pretrained
from crossaisle.errors import MissingDependencyError
from crossaisle.training.federated.adapter import Adapter
from crossaisle.training.federated.comparison import WAYS, Member, On, compare, in_one_space, participants
from crossaisle.training.federated.config import FederatedConfig
from crossaisle.training.federated.participant import Participant
from crossaisle.training.federated.privacy import epsilon
from crossaisle.training.federated.server import federate

SHOPS = ("Beauty", "Toys & Games", "Clothing, Shoes & Jewelry")


class Poisoned:
    """A shop that sends the opposite of what it learned, multiplied."""

    def __init__(self, inner: Participant, times: float) -> None:
        self.inner, self.times, self.name, self.size = inner, times, inner.name, inner.size

    def update(self, weights: Floats, number: int) -> Floats:
        return -self.times * self.inner.update(weights, number)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--on",
        choices=["validation", "test"],
        default="test",
        help="cases to measure on (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds of exchange (default: %(default)s)")
    parser.add_argument("--cases", type=int, default=2000, help="cases per shop (default: %(default)s)")
    parser.add_argument(
        "--rates", default="0.2,0.5,1", help="learning rates to choose from (default: %(default)s)"
    )
    parser.add_argument(
        "--customers", type=int, help="learn from so many customers of each shop, drawn at random"
    )
    parser.add_argument("--short", action="store_true", help="leave out poisoning and noise")
    options = parser.parse_args()
    datasets = [load_catalogue("amazon14", root=options.root, domain=name).dataset for name in SHOPS]
    shops, _ = in_one_space(
        [(name, one, leave_last_out(one)) for name, one in zip(SHOPS, datasets, strict=True)],
        lambda texts: pretrained("minilm").encode(texts, progress=True),
    )
    if options.customers is not None:
        shops = [with_fewer(shop, options.customers) for shop in shops]
    for shop in shops:
        print(f"{shop.name}: {shop.dataset.n_items:,} items, {shop.dataset.n_users:,} customers", flush=True)
    usual = FederatedConfig(rounds=options.rounds)
    rates = [float(rate) for rate in options.rates.split(",")]
    found = compare(shops, usual, rates=rates, cases=options.cases, on=options.on, say=print)
    print(f"\nNDCG@10 on {options.on}, full ranking")
    print(f"{'shop':<28}" + "".join(f"{way:>12}" for way in WAYS))
    for row in found.rows:
        print(f"{row.shop:<28}" + "".join(f"{row.ndcg[way]:>12.4f}" for way in WAYS) + f"   {row.chosen}")
        for way, (difference, low, high) in row.over_alone.items():
            share = row.ndcg[way] / row.ndcg["pooled"]
            print(f"  {way}: {share:.3f} of pooled, over alone {difference:+.4f} [{low:+.4f}, {high:+.4f}]")
    if not options.short:
        robust(shops, replace(usual, learning_rate=found.rate), options.on, options.cases)
        private(shops, replace(usual, learning_rate=found.rate), options.on, options.cases)


def with_fewer(shop: Member, customers: int) -> Member:
    """The same shop with the same cases, which learns from some customers only."""
    train = shop.split.train
    chosen = np.random.default_rng(3).permutation(train.n_users)[:customers]
    kept = train.with_events(np.isin(train.events.user, chosen))
    return replace(shop, split=replace(shop.split, train=kept))


def told(shops: Sequence[Member], adapter: Adapter, on: On, most: int) -> str:
    return "  ".join(f"{shop.gains(adapter, on, most).mean():.4f}" for shop in shops)


def robust(shops: Sequence[Member], config: FederatedConfig, on: On, most: int) -> None:
    print("\nthe last shop sends the opposite of what it learned, times 20")
    for rule, largest in (("mean", 0.0), ("mean", 2.0), ("median", 2.0)):
        chosen = replace(config, rule=rule, largest_update=largest)
        for name, poison in (("honest", False), ("poisoned", True)):
            start = time.perf_counter()
            members = participants(shops, chosen)
            senders = [*members[:-1], Poisoned(members[-1], 20.0) if poison else members[-1]]
            adapter = federate(senders, chosen, dimensions=shops[0].vectors.shape[1]).adapter
            cut = f"clipped at {largest:g} medians" if largest else "not clipped"
            print(
                f"{rule:<8}{cut:<20}{name:<10}{told(shops, adapter, on, most)}"
                f"   {time.perf_counter() - start:.0f} s",
                flush=True,
            )


def private(shops: Sequence[Member], config: FederatedConfig, on: On, most: int) -> None:
    print("\nnoise (as a multiple of what one user may contribute), epsilon per shop at delta = 1e-5")
    for noise in (0.5, 1.0):
        # Many users and few steps: otherwise the noise leaves no signal in a shop of this size.
        chosen = replace(
            config, noise=noise, users=4096, clip=1.0, rounds=10, local_steps=5, learning_rate=3.0
        )
        members = participants(shops, chosen)
        adapter = federate(members, chosen, dimensions=shops[0].vectors.shape[1]).adapter
        try:
            budget = "  ".join(f"{epsilon(chosen, member.size, delta=1e-5):.4f}" for member in members)
        except MissingDependencyError as error:
            budget = str(error)
        print(f"noise {noise:g}: {told(shops, adapter, on, most)}   epsilon {budget}", flush=True)


if __name__ == "__main__":
    main()
