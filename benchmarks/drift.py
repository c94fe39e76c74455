"""Measures how often drift is reported where nothing moved, and where something did.

    python benchmarks/drift.py --out runs/drift.json
    python benchmarks/drift.py --seeds 100 --out runs/drift.json

Synthetic shops of a hundred items, whose users each have a taste of their own (Dirichlet), so that the events
of one user are alike. The model's summary covers 500 users; later events come from `--users`. `alarms` is the
share of seeds in which any check says other than stable, `significant` the share in which any p-value is at
most .05 after correction over all checks. For comparison, the same is measured as if events were independent.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossaisle.drift.compare import Drift, compare
from crossaisle.drift.measures import Design
from crossaisle.drift.summary import OTHER_WORDS, Observed, Shares, Summary
from crossaisle.evaluate.files import write_json

ITEMS, GROUPS, DIMENSIONS = 100, 10, 32
TASTE = 15.0
"""The smaller, the more users differ from each other."""
CHANGES = ("none", "categories", "prices", "words", "vectors")


class Shop:
    """A catalogue, and users who buy from it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.group = np.arange(ITEMS) % GROUPS
        self.categories = [f"aisle {g}" for g in self.group]
        self.titles = [
            f"{'fresh' if i % 2 else 'frozen'} kind{i % 17} aisle{g}" for i, g in enumerate(self.group)
        ]
        self.prices = np.round(rng.lognormal(1, 0.8, ITEMS), 2)
        centres = rng.normal(size=(GROUPS, DIMENSIONS))
        self.vectors = unit(centres[self.group] + rng.normal(size=(ITEMS, DIMENSIONS)))
        self.mass = rng.dirichlet(np.ones(ITEMS) * 2)

    def events(self, seed: int, users: int, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        counts = rng.integers(3, 25, users)
        tastes = [rng.dirichlet(mass * TASTE + 1e-6) for _ in range(users)]
        items = [rng.choice(ITEMS, n, p=taste) for n, taste in zip(counts.tolist(), tastes, strict=True)]
        return np.repeat(np.arange(users), counts), np.concatenate(items)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def one(seed: int, users: int, change: str, independent: bool) -> Drift:
    shop = Shop(seed)
    before = Summary.of(
        Observed(*shop.events(seed, 500, shop.mass), shop.categories, shop.prices, shop.titles)
    )
    mass, titles, prices, vectors = shop.mass, shop.titles, shop.prices, shop.vectors
    if change == "categories":
        mass = np.where(shop.group == 0, 4.0, 1.0) * mass
        mass = mass / mass.sum()
    elif change == "prices":
        prices = np.round(prices * 1.6, 2)
    elif change == "words":
        titles = [title.replace("frozen", "vegan") for title in titles]
    elif change == "vectors":
        vectors = unit(vectors + 0.25 * np.random.default_rng(seed).normal(size=DIMENSIONS))
    words = [word for word in before.words.counts if word != OTHER_WORDS]
    now = Summary.of(
        Observed(*shop.events(seed + 10**6, users, mass), shop.categories, prices, titles), words=words
    )
    if independent:
        before, now = naive(before), naive(now)
    return compare(before, now, vectors=(shop.vectors[before.drawn], vectors[now.drawn]))


def naive(summary: Summary) -> Summary:
    """The check as if events were independent."""
    return replace(
        summary,
        categories=Shares(summary.categories.counts),
        words=Shares(summary.words.counts),
        price_design=Design(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=300,
        help="synthetic shops for each number of users (default: %(default)s)",
    )
    parser.add_argument(
        "--users",
        type=int,
        nargs="+",
        default=[40, 150, 500],
        help="users with later events (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    options = parser.parse_args()
    rows = []
    for users in options.users:
        for change, independent in [*((c, False) for c in CHANGES), ("none", True)]:
            seeds = options.seeds if change == "none" else max(options.seeds // 3, 1)
            verdicts: Counter[str] = Counter()
            significant = alarms = hit = 0
            for seed in range(seeds):
                found = one(seed, users, change, independent)
                said = {check.name: check.verdict for check in found.checks}
                alarms += found.verdict != "stable"
                significant += any(check.q <= 0.05 for check in found.checks)
                hit += said.get(change, "stable") != "stable"
                verdicts.update(name for name, verdict in said.items() if verdict != "stable")
            row = {
                "users": users,
                "change": change,
                "events_independent": independent,
                "seeds": seeds,
                "alarms": alarms / seeds,
                "significant": significant / seeds,
                "found": None if change == "none" else hit / seeds,
                "said": dict(verdicts),
            }
            print(row, flush=True)
            rows.append(row)
    write_json(options.out, {"rows": rows})


if __name__ == "__main__":
    main()
