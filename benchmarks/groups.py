"""Compares metrics that count items with metrics that count groups of items, for one fit and test.

    python benchmarks/groups.py completejourney --users 2035 --out runs/groups

A group is one `group_id`, or else one title and brand: what a list shows once. With groups, a hit on a
variant of the answer counts, answers of one group are one answer, and a list has room for one item of each.
Prints recall and NDCG at 10 of the served model and of the best single model by slice, counted both ways, and
the seconds each way took.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from crossaisle.config import ModelConfig
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.evaluate.families import Families
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.results import Count, Evaluation
from crossaisle.pipeline.fit import fit
from crossaisle.pipeline.measure import BLEND, MODEL, measure

WAYS: tuple[Count, ...] = ("items", "groups")
SLICES = ("all", "new_item", "cross_open", "cross_limited", "novel_limited")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a known data set, such as completejourney")
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--users", type=int, default=10_000, help="test cases, drawn with a seed (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    options = parser.parse_args()
    dataset = load_catalogue(options.name, root=options.root).dataset
    fitted = fit(dataset, split_config=find_catalogue(options.name).split, model_config=ModelConfig())
    found: dict[str, Evaluation] = {}
    seconds = {}
    for way in WAYS:
        start = time.perf_counter()
        found[way] = measure(fitted, ks=(10,), max_cases=options.users, count=way)
        seconds[way] = round(time.perf_counter() - start, 1)
    groups = Families.of_items(dataset.items).n
    print(f"{dataset.n_items:,} items, {groups:,} groups; seconds of measuring: {seconds}")
    rows = [
        row
        for metric in ("recall", "ndcg")
        for name in SLICES
        if (row := beside(found, name, metric)) is not None
    ]
    for row in rows:
        print("  ".join(f"{value:.4f}" if isinstance(value, float) else f"{value}" for value in row.values()))
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"dataset": options.name, "items": dataset.n_items, "groups": groups, "seconds": seconds}
    write_json(options.out / "groups.json", {**facts, "rows": rows})


def beside(found: dict[str, Evaluation], name: str, metric: str) -> dict[str, Any] | None:
    """One slice and metric: the served model and the best single one, both ways; None for an empty slice."""
    out: dict[str, Any] = {"slice": name, "metric": f"{metric}@10"}
    for way, evaluation in found.items():
        served = evaluation.row(MODEL, name, metric)
        singles = [evaluation.row(m, name, metric) for m in evaluation.models if m not in (MODEL, BLEND)]
        best = max((row for row in singles if row), key=lambda row: float(row["value"]), default=None)
        if served is None or best is None:
            return None
        out |= {f"{way}_served": served["value"], f"{way}_low": served["low"], f"{way}_high": served["high"]}
        out |= {f"{way}_best_single": best["model"], f"{way}_best": best["value"], f"{way}_n": served["n"]}
    return out


if __name__ == "__main__":
    main()
