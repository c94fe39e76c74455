"""Measures how far the figures of a shop vary with the random seed.

    python benchmarks/seeds.py s3rec-beauty --root DATA --seeds 5 --out DIR

Fits the shop once for each seed (which sets the sequence model's start and its negatives, the cases weights
are chosen on, and the trees) and measures the test. Prints, by slice, NDCG@10 of what is served and of the
best single model as the mean over the seeds, with the least and the most of what is served; and their
difference, averaged over the seeds for each customer, with its paired 95 % interval and a p-value by Holm's
correction over the slices. A seed takes about as long as `crossaisle benchmark`; finished seeds are kept in
DIR and used again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.config import ModelConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Floats
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.mission_guard import MISSION, OVERALL
from crossaisle.evaluate.significance import Bootstrap, holm
from crossaisle.pipeline.fit import fit
from crossaisle.pipeline.measure import BLEND, MODEL, measure

SLICES = (OVERALL, "same_open", *MISSION)
SUMS = (MODEL, BLEND)
Values = dict[str, dict[str, Floats]]
"""Model -> slice -> float32 (customers,), NaN where a customer is not in the slice."""


def measured(name: str, dataset: Dataset, seed: int, folder: Path, cases: int | None) -> Values:
    """NDCG@10 of each test customer; loaded from the folder if an earlier run left it there."""
    file = folder / f"seed-{seed}.npz"
    if not file.exists():
        config = ModelConfig(encoder="minilm", seed=seed)
        fitted = fit(dataset, split_config=find_catalogue(name).split, model_config=config)
        found = measure(fitted, max_cases=cases)  # the same customers whatever the seed
        slices = [one for one in SLICES if one in found.slices]
        table = {f"{m}/{one}": found.per_case(m, one, "ndcg") for m in found.models for one in slices}
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, allow_pickle=False, **table)
    values: Values = {}
    with np.load(file) as stored:
        for key in stored.files:
            model, slice_ = key.split("/")
            values.setdefault(model, {})[slice_] = stored[key]
    return values


def compared(runs: list[Values]) -> list[dict[str, Any]]:
    """One row per slice."""
    rows: list[dict[str, Any]] = []
    for slice_ in runs[0][MODEL]:
        means = {m: [float(np.nanmean(run[m][slice_])) for run in runs if m in run] for m in runs[0]}
        single = max((m for m in means if m not in SUMS), key=lambda m: np.mean(means[m]))
        mine, theirs = (np.mean([run[m][slice_] for run in runs], axis=0) for m in (MODEL, single))
        known = ~np.isnan(mine)
        bootstrap = Bootstrap(n=int(known.sum()))
        gap, p = bootstrap.difference(mine[known][:, None], theirs[known][:, None])
        value, low, high = gap.of(0)
        rows.append(
            {
                "slice": slice_,
                "n": bootstrap.n,
                "seeds": means[MODEL],
                "single": single,
                "single_seeds": means[single],
                "difference": value,
                "low": low,
                "high": high,
                "p": float(p[0]),
            }
        )
    for row, adjusted in zip(rows, holm(np.array([row["p"] for row in rows])), strict=True):
        row["p_holm"] = float(adjusted)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a known data set, such as s3rec-beauty")
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument("--seeds", type=int, default=5, help="fits (default: %(default)s)")
    parser.add_argument("--cases", type=int, help="test customers, drawn with a seed (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    given = parser.parse_args()
    dataset = load_catalogue(given.name, root=given.root).dataset
    runs = []
    for seed in range(given.seeds):
        runs.append(measured(given.name, dataset, seed, given.out, given.cases))
        means = {one: round(float(np.nanmean(v)), 4) for one, v in runs[-1][MODEL].items()}
        print(f"seed {seed}: {json.dumps(means)}", flush=True)
    rows = compared(runs)
    write_json(given.out / "seeds.json", rows)
    print("| slice (customers) | served: mean [least, most] | best single model | difference | p, Holm |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        mine, theirs = np.array(row["seeds"]), np.mean(row["single_seeds"])
        print(
            f"| {row['slice']} ({row['n']:,}) | {mine.mean():.4f} [{mine.min():.4f}, {mine.max():.4f}] "
            f"| {theirs:.4f} {row['single']} "
            f"| {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}] | {row['p_holm']:.3g} |"
        )


if __name__ == "__main__":
    main()
