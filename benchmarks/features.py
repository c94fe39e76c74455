"""Selected features against all of them: AUC of the next purchase on validation, over seeds.

The bar: with at most half of the columns, no more than .002 of AUC is lost. Selection sees the training
matrix only; the validation window comes after it.

    python benchmarks/features.py --out runs/features.json
    python benchmarks/features.py --data completejourney --users 600 --seeds 3 --out runs/features.json
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.evaluate.files import write_json
from crossaisle.features.selection import select_features
from crossaisle.pipeline.analysis.features import auc, build_features

BAR = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="completejourney")
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--out", type=Path, required=True)
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
            "auc_all": auc(train, found.validation, names),
            "auc_kept": auc(train, found.validation, selection.kept),
            "seconds_features": round(built, 1),
            "seconds_selection": round(time.perf_counter() - start - built, 1),
        }
        print(row, flush=True)
        rows.append(row)
    loss = float(np.mean([row["auc_all"] - row["auc_kept"] for row in rows]))
    half = all(2 * row["kept"] <= row["columns"] for row in rows)
    verdict = {"mean_loss": loss, "bar": BAR, "half_the_columns": half, "met": loss <= BAR and half}
    print(verdict)
    write_json(
        options.out, {"options": {k: str(v) for k, v in vars(options).items()}, "rows": rows, **verdict}
    )


if __name__ == "__main__":
    main()
