"""Compares ways to start the sequence model, less input for it, and a two-tower model.

    python benchmarks/sequence.py s3rec-beauty --seeds 3 --on validation
    python benchmarks/sequence.py s3rec-beauty --seeds 1 --only "two towers"

Prints NDCG@10 by slice of the model alone: the mean over seeds and, in brackets, the range between them. Each
fit takes a minute or two of one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import load_catalogue
from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.split import leave_last_out
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.evaluate.results import evaluate
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.models.scorers.vectors.history_vectors import HistoryVectors
from crossaisle.models.scorers.vectors.two_tower import TwoTower

SLICES = ("all", "same_open", "cross_open", "cross_limited", "novel_open", "novel_limited", "cold_item")
Variant = Callable[[Dataset, int], HistoryVectors]


def fitted(dataset: Dataset, seed: int, **settings: object) -> SequenceTransformer:
    """The default model, except for some settings."""
    return SequenceTransformer(seed=seed, **settings).fit(dataset)  # type: ignore[arg-type]


def with_shuffled_texts(dataset: Dataset, seed: int) -> Dataset:
    """Every item gets the text of another one."""
    order = np.random.default_rng(seed).permutation(dataset.n_items)
    items = dataset.items[order].with_columns(dataset.items["item_id"])
    paths = tuple(dataset.taxonomy.paths[i] for i in order.tolist())
    return replace(dataset, items=items, taxonomy=Taxonomy(paths, dataset.taxonomy.level))


def in_no_order(histories: Histories) -> Histories:
    """The same events of each history, shuffled."""
    order = np.lexsort((np.random.default_rng(0).random(len(histories.item)), histories.owner))
    return replace(histories, item=histories.item[order], day=histories.day[order])


VARIANTS: dict[str, Variant] = {
    "begins as texts": fitted,
    "begins as TF-IDF": lambda dataset, seed: fitted(dataset, seed, encoder="none"),
    "begins at random": lambda dataset, seed: fitted(dataset, seed, encoder="random"),
    "begins as texts of other items": lambda dataset, seed: fitted(with_shuffled_texts(dataset, seed), seed),
    "reads the newest event only": lambda dataset, seed: fitted(dataset, seed, length=1),
    "two towers": lambda dataset, seed: TwoTower(seed=seed).fit(dataset),
}
SHUFFLED = "begins as texts, asked with shuffled histories"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name", choices=["s3rec-beauty", "s3rec-sports", "s3rec-toys"], help="the known data set"
    )
    parser.add_argument("--root", help="folder of the data sets, see docs/data.md")
    parser.add_argument("--seeds", type=int, default=3, help="fits of each variant (default: %(default)s)")
    parser.add_argument(
        "--on",
        choices=["validation", "test"],
        default="validation",
        help="cases to measure on (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(VARIANTS),
        metavar="VARIANT",
        help="one variant; may be repeated",
    )
    given = parser.parse_args()
    split = leave_last_out(load_catalogue(given.name, root=given.root).dataset)
    dataset = split.train if given.on == "validation" else split.past
    found: dict[str, list[list[float]]] = {}
    for seed in range(given.seeds):
        for name in given.only or VARIANTS:
            model = VARIANTS[name](dataset, seed)
            scorers: dict[str, Callable[[Histories], Floats]] = {name: model.score_rows}
            if name == "begins as texts":
                scorers[SHUFFLED] = lambda histories, model=model: model.score_rows(in_no_order(histories))
            evaluation = evaluate(scorers, split, dataset, on=given.on, ks=(10,), resamples=0, knn=None)
            for asked in scorers:
                rows = [evaluation.row(asked, slice_, "ndcg") for slice_ in SLICES]
                found.setdefault(asked, []).append([r["value"] if r else np.nan for r in rows])
            print(f"seed {seed}: {name}, {model.stop} passes", file=sys.stderr, flush=True)
    print("| " + " | ".join(["", *SLICES]) + " |\n|---|" + "---:|" * len(SLICES))
    for name, values in found.items():
        low, mean, high = np.min(values, axis=0), np.mean(values, axis=0), np.max(values, axis=0)
        cells = [f"{m:.4f} [{h - lo:.4f}]" for lo, m, h in zip(low, mean, high, strict=True)]
        print("| " + " | ".join([name, *cells]) + " |")


if __name__ == "__main__":
    main()
