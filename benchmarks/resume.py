"""Kills a training with SIGKILL at random steps, resumes it each time, and compares the final weights.

    python benchmarks/resume.py [--kills 20] [--moves lora]

Trains MiniLM on 60 users of a synthetic shop, once without a kill and once with them. Needs the encoder's
weights (`crossaisle models pull minilm-torch`). Prints the largest difference of any weight; exits with 1 if
it is above 1e-6.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.splits.split import leave_last_out
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.train_config import TrainConfig

STRIKE = "CROSSAISLE_STRIKE_AT"
STEPS = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="times to kill (default: %(default)s)")
    parser.add_argument(
        "--moves",
        default="lora",
        choices=["head", "lora", "last", "full"],
        help="what is trained (default: %(default)s)",
    )
    parser.add_argument(
        "--backbone", default="minilm-torch", help="checkpoint to train (default: %(default)s)"
    )
    parser.add_argument("--train-into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    given = parser.parse_args()
    if given.train_into:
        train(given.train_into, given.moves, given.backbone)
        return
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        again(whole, given)
        steps = np.sort(
            np.random.default_rng(given.seed).choice(STEPS, given.kills, replace=given.kills > STEPS)
        )
        for step in steps:
            code = again(cut, given, strike=int(step))
            assert code == -signal.SIGKILL, f"step {step}: ended with {code}, it was not killed"
        again(cut, given)
        largest = difference(whole.with_suffix(".safetensors"), cut.with_suffix(".safetensors"))
    verdict = "bit-equal" if largest == 0.0 else f"largest difference {largest:.2g}"
    print(f"{given.moves}: killed at steps {', '.join(map(str, steps))} of {STEPS}: {verdict}")
    sys.exit(largest > 1e-6)


def again(folder: Path, given: argparse.Namespace, strike: int | None = None) -> int:
    """Runs one process that trains until it ends or is killed."""
    command = [sys.executable, __file__, "--train-into", str(folder), "--moves", given.moves]
    command += ["--backbone", given.backbone]
    environment = dict(os.environ) | ({} if strike is None else {STRIKE: str(strike)})
    done = subprocess.run(command, env=environment)
    if strike is None and done.returncode:
        sys.exit(done.returncode)
    return done.returncode


def train(folder: Path, moves: str, backbone: str) -> None:
    """Resumes from the checkpoint in `folder`, if there is one; kills itself at the given step."""
    from safetensors.torch import save_file

    from crossaisle.training.text.trainer import Trainer

    split = leave_last_out(shop())
    config = TrainConfig(
        backbone=backbone,
        moves=moves,
        batch=8,
        epochs=STEPS // 6,
        max_pairs=6 * 8,
        checkpoint_every=3,
        validate_every=10,
        patience=0,
        dropout=0.1,
        word_dropout=0.1 if moves in ("lora", "full") else 0.0,
    )
    trainer = Trainer(split.train, config, validation=split.validation)
    assert trainer.steps == STEPS
    strike = os.environ.get(STRIKE)
    if strike is not None:
        attempt = trainer._attempt

        def struck(state: object) -> float:
            if state.step >= int(strike):
                os.kill(os.getpid(), signal.SIGKILL)
            return attempt(state)

        trainer._attempt = struck
    trained = trainer.run(folder, resume=True)
    state = {name: value.detach().contiguous() for name, value in trained.towers.named_parameters()}
    save_file(state, folder.with_suffix(".safetensors"))


def shop() -> Dataset:
    """60 users, 40 products with titles of a few words, ten events each."""
    users, items, each = 60, 40, 10
    rng = np.random.default_rng(0)
    words = ["red", "blue", "trail", "running", "shoe", "lamp", "desk", "pasta", "basil", "cheese"]
    titles = [" ".join(rng.choice(words, 4)) + f" {i}" for i in range(items)]
    ids, names = [f"i{i}" for i in range(items)], [f"u{u}" for u in range(users)]
    n = users * each
    return Dataset(
        items=pl.DataFrame(
            {
                "item_id": ids,
                "title": titles,
                "description": [""] * items,
                "brand": [""] * items,
                "price": pl.Series([None] * items, dtype=pl.Float32),
                "image": pl.Series([None] * items, dtype=pl.String),
                "in_stock": [True] * items,
                "attributes": [""] * items,
            }
        ),
        users=pl.DataFrame({"user_id": names}),
        events=Events(
            user=np.repeat(np.arange(users, dtype=np.int32), each),
            item=rng.integers(0, items, n).astype(np.int32),
            time=None,
            kind=np.zeros(n, np.int8),
            value=np.full(n, np.nan, np.float32),
            quantity=np.ones(n, np.float32),
            basket=np.full(n, -1, np.int32),
        ),
        item_ids=Vocabulary(ids, what="item"),
        user_ids=Vocabulary(names, what="user"),
        taxonomy=Taxonomy(tuple(((f"c{i % 4}",),) for i in range(items))),
        name="made up",
    )


def difference(left: Path, right: Path) -> float:
    """The largest difference of any weight."""
    from safetensors.numpy import load_file

    one, other = load_file(left), load_file(right)
    assert set(one) == set(other), "the two trainings have different weights"
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


if __name__ == "__main__":
    main()
