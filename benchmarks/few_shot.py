"""Measures the curves of `crossaisle benchmark few-shot` on more categories and seeds.

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder for the results")
    parser.add_argument("--root", help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--categories",
        type=int,
        default=few_shot.CATEGORIES,
        help="categories to hold out (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", type=int, default=few_shot.SEEDS, help="seeds per category (default: %(default)s)"
    )
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
