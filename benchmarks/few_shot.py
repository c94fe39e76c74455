"""The few-shot curves of more categories and seeds than `crossaisle benchmark few-shot` takes.

    python benchmarks/few_shot.py --categories 3 --seeds 5 --out runs/few-shot

Each category and seed takes some minutes on two cores, nearly all of it LoRA.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crossaisle.studies import few_shot
from crossaisle.studies.context import StudyContext


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--root")
    parser.add_argument("--categories", type=int, default=few_shot.CATEGORIES)
    parser.add_argument("--seeds", type=int, default=few_shot.SEEDS)
    given = parser.parse_args()
    context = StudyContext(
        name="few-shot",
        out=Path(given.out),
        root=given.root,
        say=lambda sentence: print(sentence, file=sys.stderr, flush=True),
    )
    few_shot.run(context, categories=given.categories, seeds=given.seeds)


if __name__ == "__main__":
    main()
