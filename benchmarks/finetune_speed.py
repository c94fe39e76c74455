"""Measures time and memory to fine-tune MiniLM on 20,000 pairs of s3rec-beauty, by what is trained.

    python benchmarks/finetune_speed.py [--moves lora full] [--pairs 20000] [--batch 64]

Each mode runs in a process of its own. Needs the s3rec files and the weights (`crossaisle models pull
minilm-torch`). Targets on two cores: LoRA at most 10 minutes and 4 GB, all layers at most 15 minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from crossaisle.data.datasets import load_catalogue
from crossaisle.data.splits.split import leave_last_out
from crossaisle.pipeline.fit import peak_mb
from crossaisle.train_config import TrainConfig

BARS = {"lora": 10.0, "full": 15.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--moves",
        nargs="+",
        default=list(BARS),
        choices=["head", "lora", "last", "full"],
        help="what is trained (default: %(default)s)",
    )
    parser.add_argument("--pairs", type=int, default=20_000, help="training pairs (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="batch size (default: %(default)s)")
    parser.add_argument(
        "--form",
        default="item_item",
        choices=["item_item", "two_tower"],
        help="form of the model (default: %(default)s)",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        measure(given.moves[0], given.pairs, given.batch, given.form)
        return
    for moves in given.moves:
        options = ["--moves", moves, "--pairs", str(given.pairs), "--batch", str(given.batch)]
        subprocess.run([sys.executable, __file__, "--here", *options, "--form", given.form], check=True)


def measure(moves: str, pairs: int, batch: int, form: str) -> None:
    from crossaisle.training.text.trainer import Trainer

    split = leave_last_out(load_catalogue("s3rec-beauty").dataset)
    settings = {"moves": moves, "form": form, "max_pairs": pairs, "batch": batch, "patience": 0}
    trainer = Trainer(split.train, TrainConfig(**settings), validation=split.validation)
    start = time.perf_counter()
    trained = trainer.run(progress=True)
    minutes = (time.perf_counter() - start) / 60
    curve = trained.progress.validations
    bar = f" (bar {BARS[moves]:.0f})" if moves in BARS and pairs == 20_000 else ""
    before, after = curve[0][1], trained.progress.best
    print(
        f"{moves:5} {len(trainer.examples):,} pairs, {trainer.steps} steps: {minutes:.1f} min{bar}, "
        f"process peak {peak_mb():,.0f} MB; NDCG@10 (sample) {before:.4f} -> {after:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
