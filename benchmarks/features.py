"""Compares selected features with all of them: AUC of the next purchase on validation, over seeds.

    python benchmarks/features.py --out runs/features.json
    python benchmarks/features.py --data completejourney --users 600 --seeds 3 --out runs/features.json

Target: at most half of the columns, and a loss of AUC of no more than .002. Selection sees the training
matrix only; the validation window comes after it. Boosted trees stop early on rows drawn at random, so each
AUC is the mean of `--trees` fits. The interval of a loss is a paired bootstrap over the users of validation.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.evaluate.files import write_json
from crossaisle.features.matrix import FeatureMatrix
from crossaisle.features.selection import select_features
from crossaisle.pipeline.analysis.features import Features, build_features, chances

BAR = 0.002
RESAMPLES = 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="completejourney", help="a known data set (default: %(default)s)")
    parser.add_argument("--users", type=int, default=600, help="users to draw (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="draws (default: %(default)s)")
    parser.add_argument(
        "--trees", type=int, default=5, help="fits of the trees behind each AUC (default: %(default)s)"
    )
    parser.add_argument("--encoder", default="minilm", help="text encoder, or none (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    options = parser.parse_args()
    dataset = load_catalogue(options.data, progress=True).dataset
    rows = []
    for seed in range(options.seeds):
        start = time.perf_counter()
        found = build_features(
            dataset,
            find_catalogue(options.data).split,
            encoder=options.encoder,
            users=options.users,
            seed=seed,
        )
        built = time.perf_counter() - start
        train, names = found.train, found.train.table.names
        selection = select_features(train.table, train.label, train.fold, seed=seed)
        row = {
            "seed": seed,
            "rows": len(train),
            "columns": len(names),
            "kept": len(selection.kept),
            **compared(found, selection.kept, options.trees, seed),
            "seconds_features": round(built, 1),
            "seconds_selection": round(time.perf_counter() - start - built, 1),
        }
        print(row, flush=True)
        rows.append(row)
    loss = float(np.mean([row["loss"] for row in rows]))
    half = all(2 * row["kept"] <= row["columns"] for row in rows)
    verdict = {"mean_loss": loss, "bar": BAR, "half_the_columns": half, "met": loss <= BAR and half}
    print(verdict)
    write_json(
        options.out, {"options": {k: str(v) for k, v in vars(options).items()}, "rows": rows, **verdict}
    )


def compared(found: Features, kept: tuple[str, ...], trees: int, seed: int) -> dict[str, float]:
    """AUC with all columns and with some, and the loss: its spread over fits, and its 95 % interval."""
    every = found.train.table.names
    columns = {"all": every, "kept": kept}
    given = {
        name: [chances(found.train, found.validation, some, number) for number in range(trees)]
        for name, some in columns.items()
    }
    rows = np.arange(len(found.validation))
    by_fit = {name: aucs(found.validation, rows, scores) for name, scores in given.items()}
    losses = by_fit["all"] - by_fit["kept"]
    resampled = np.array(
        [
            (aucs(found.validation, some, given["all"]) - aucs(found.validation, some, given["kept"])).mean()
            for some in resamples_of(found.validation, seed)
        ]
    )
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {
        "auc_all": float(by_fit["all"].mean()),
        "auc_kept": float(by_fit["kept"].mean()),
        "loss": float(losses.mean()),
        "loss_low": float(low),
        "loss_high": float(high),
        "sd_of_one_fit": float(losses.std(ddof=1)) if trees > 1 else float("nan"),
    }


def aucs(matrix: FeatureMatrix, rows: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """AUC of each fit, on some rows."""
    return np.array([roc_auc_score(matrix.label[rows], one[rows]) for one in scores])


def resamples_of(matrix: FeatureMatrix, seed: int) -> list[np.ndarray]:
    """Rows of users that are drawn with replacement."""
    rng = np.random.default_rng(seed)
    order = np.argsort(matrix.user, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(matrix.user[order])) + 1)
    draws = rng.integers(0, len(parts), (RESAMPLES, len(parts)))
    return [np.concatenate([parts[part] for part in draw]) for draw in draws]


if __name__ == "__main__":
    main()
