"""Measures time and memory of a full-ranking evaluation, beside a sort for each user and slice.

    python benchmarks/evaluation_speed.py [--root DATA] [--sample 500]

Evaluates all slices of s3rec-beauty, or of a synthetic shop of the same size if that data set is missing. The
model is a sparse history times a dense item-item matrix, which costs what a linear model costs. The sort is
timed on a sample of the cases and scaled up; its ranks must agree with ours there.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import polars as pl

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.datasets import load_catalogue
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import leave_last_out
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import FetchError
from crossaisle.evaluate.candidates import Candidates
from crossaisle.evaluate.results import evaluate
from crossaisle.evaluate.slices import slices_of

N_USERS, N_ITEMS, N_EVENTS = 22_363, 12_101, 198_502


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--sample", type=int, default=500, help="cases the sort is timed on (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        data = load_catalogue("s3rec-beauty", root=options.root).dataset
    except FetchError:
        if options.root:
            raise
        data = synthetic()
    split = leave_last_out(data)
    cases, counts = split.test, split.past.item_counts
    weights = np.random.default_rng(0).random((data.n_items, data.n_items), dtype=np.float32)

    def score(histories: Histories) -> np.ndarray:
        return np.asarray(histories.matrix(None, data.n_items) @ weights)

    slices = slices_of(cases, data.taxonomy, counts)
    print(f"{data.name}: {len(cases):,} cases x {data.n_items:,} items, {len(slices)} slices")

    before = time.perf_counter()
    evaluation = evaluate({"linear": score}, split, data)
    ours = time.perf_counter() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"crossaisle: {ours:.1f} s, peak memory of the process {peak:,.0f} MB")

    sample = np.linspace(0, len(cases) - 1, min(options.sample, len(cases))).astype(int)
    part = cases.take(sample)
    before = time.perf_counter()
    naive = per_user_argsort(score, part, data, counts)
    seconds = (time.perf_counter() - before) * len(cases) / len(part)
    print(f"argsort per user and slice: {seconds:.1f} s (timed on {len(part):,} cases, scaled up)")
    print(f"ratio: {seconds / ours:.1f}")

    for name in evaluation.slices:
        column = evaluation.per_case("linear", name, "hr", 10)[sample]
        hits = [rank <= 10 for rank in naive.get(name, [])]
        assert np.array_equal(column[~np.isnan(column)], hits), f"{name}: the two ways disagree"


def per_user_argsort(
    score, cases: EvalCases, data: Dataset, counts: np.ndarray
) -> dict[str, list[int]]:  # one target per case
    """Ranks per slice by sorting each user's candidates of each slice."""
    slices = slices_of(cases, data.taxonomy, counts)
    candidates = Candidates(cases, data.taxonomy, [s.limit for s in slices])
    ranks: dict[str, list[int]] = {}
    for case in range(len(cases)):
        histories = cases.histories.take([case])
        allowed, scores = candidates.allowed(histories), score(histories)[0]
        target = cases.targets_of(case)[0]
        for one in slices:
            if one.targets[case]:
                limited = np.where(allowed[one.limit][0], scores, -np.inf)
                order = np.argsort(-limited, kind="stable")
                ranks.setdefault(one.name, []).append(int(np.flatnonzero(order == target)[0]) + 1)
    return ranks


def synthetic() -> Dataset:
    rng = np.random.default_rng(0)
    user = np.sort(
        np.concatenate([np.tile(np.arange(N_USERS), 3), rng.integers(0, N_USERS, N_EVENTS - 3 * N_USERS)])
    )
    ids, users = Vocabulary(range(N_ITEMS), what="item"), Vocabulary(range(N_USERS), what="user")
    events = Events(
        user.astype(np.int32),
        (N_ITEMS * rng.random(N_EVENTS) ** 2).astype(np.int32),
        None,
        np.zeros(N_EVENTS, np.int8),
        np.full(N_EVENTS, np.nan, np.float32),
        np.ones(N_EVENTS, np.float32),
        np.full(N_EVENTS, -1, np.int32),
    )
    return Dataset(
        pl.DataFrame({"item_id": ids.all}).with_columns(price=pl.lit(None, pl.Float32)),
        pl.DataFrame({"user_id": users.all}),
        events,
        ids,
        users,
        Taxonomy(tuple(((f"c{i % 6}", f"d{i % 240}"),) for i in range(N_ITEMS))),
        name="synthetic",
    )


if __name__ == "__main__":
    main()
