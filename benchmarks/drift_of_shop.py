"""Measures drift in a real shop: between random groups of users, where there is none, and by month.

    python benchmarks/drift_of_shop.py --out runs/drift-of-shop.json

Groups: a seeded shuffle splits the users into `--users` of them and the rest, over the same time. Whatever is
reported between the two is a false alarm. Months: each is compared with all that came before it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from crossaisle.data.datasets import load_catalogue
from crossaisle.drift.compare import Drift, compare
from crossaisle.drift.summary import OTHER_WORDS, Observed, Summary
from crossaisle.evaluate.files import write_json


def some(every: Observed, kept: np.ndarray) -> Observed:
    return Observed(every.user[kept], every.item[kept], every.categories, every.prices, every.titles)


def compared(before: Observed, now: Observed) -> Drift:
    reference = Summary.of(before)
    words = [word for word in reference.words.counts if word != OTHER_WORDS]
    return compare(reference, Summary.of(now, words=words))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default="completejourney", help="a known data set with times (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=40, help="random splits into two groups (default: %(default)s)"
    )
    parser.add_argument(
        "--users", type=int, default=300, help="users of the smaller group (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    options = parser.parse_args()
    dataset = load_catalogue(options.data, progress=True).dataset
    every, wanted = Observed.of(dataset), np.flatnonzero(dataset.wanted)
    alarms = significant = 0
    for seed in range(options.seeds):
        group = np.random.default_rng(seed).permutation(dataset.n_users)[: options.users]
        inside = np.isin(every.user, group)
        found = compared(some(every, ~inside), some(every, inside))
        alarms += found.verdict != "stable"
        significant += any(check.q <= 0.05 for check in found.checks)
    n = options.seeds
    groups = {"seeds": n, "alarms": alarms / n, "significant": significant / n}
    print(groups, flush=True)
    assert dataset.events.time is not None
    month = (dataset.events.time[wanted].astype("datetime64[s]")).astype("datetime64[M]")
    months = []
    for one in np.unique(month)[3:]:
        found = compared(some(every, month < one), some(every, month == one))
        row = {
            "month": str(one),
            "verdict": found.verdict,
            "checks": [
                {"name": c.name, "effect": c.effect, "q": c.q, **c.measures, "movers": c.movers[:3]}
                for c in found.checks
            ],
        }
        print(str(one), found.verdict, {c.name: round(c.effect, 3) for c in found.checks}, flush=True)
        months.append(row)
    write_json(options.out, {"groups": groups, "months": months})


if __name__ == "__main__":
    main()
