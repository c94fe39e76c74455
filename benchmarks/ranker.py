"""Measures what a learned ranker adds to the blend, by slice, on validation and then on the test.

    python benchmarks/ranker.py s3rec-beauty --root DATA [--cases N] [--out DIR]

Fits the shop with `crossaisle[rank]` and prints what was tried on validation. Then compares NDCG@10 of the
blend with and without its rankers on the same test cases, with the paired 95 % interval of the difference,
and the CPU time of one list with both.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.config import ModelConfig
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate.mission_guard import slice_values
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.ranker_trial import SLICES
from crossaisle.recommend.recommender import Recommender

TIMED = 100
"""Lists whose CPU time is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a known data set, such as s3rec-beauty")
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--cases", type=int, default=7000, help="test cases, drawn with a seed (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="also write ranker.json to this folder")
    options = parser.parse_args()
    dataset = load_catalogue(options.name, root=options.root).dataset
    fitted = fit(dataset, split_config=find_catalogue(options.name).split, model_config=ModelConfig())
    print("\n".join(fitted.learned.notes))
    result = {
        "learned": fitted.learned.figures,
        "test": on_test(fitted, options.cases),
        "milliseconds": milliseconds(fitted),
    }
    print(result["milliseconds"])
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "ranker.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def on_test(fitted: Fitted, most: int) -> list[dict[str, Any]]:
    """One row per slice, printed as it is measured."""
    past, test = fitted.past, fitted.split.test
    cases = test.take(np.sort(np.random.default_rng(0).permutation(len(test))[:most]))
    blend = replace(past.blend, remember=True)
    plain = past.replaced(blend=blend, rankers={})
    ranked = past.replaced(blend=blend)
    rows = []
    for placement in past.rankers:
        scorers = {
            "blend": partial(plain.score_batch, placement=placement),
            "ranker": partial(ranked.score_batch, placement=placement),
        }
        more = ("same_open", "repeat") if placement == "for_you" else ()
        rows += table(scorers, cases, past, (*SLICES[placement], *more))
    return rows


def table(scorers: Any, cases: EvalCases, past: Recommender, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Blend and ranker in some slices, with the paired difference."""
    found = slice_values(scorers, cases, past.dataset.taxonomy, past.dataset.item_counts, names)
    rows = []
    for slice_, before in found["blend"].items():
        after = found["ranker"][slice_]
        known = ~np.isnan(before)
        bootstrap = Bootstrap(n=int(known.sum()))
        gap, _ = bootstrap.difference(after[known][:, None], before[known][:, None])
        value, low, high = gap.of(0)
        rows.append(
            {
                "slice": slice_,
                "n": int(known.sum()),
                "blend": float(before[known].mean()),
                "ranker": float(after[known].mean()),
                "difference": value,
                "low": low,
                "high": high,
            }
        )
        print(
            "{slice:16} n {n:6} {blend:.4f} {ranker:.4f} {difference:+.4f} [{low:+.4f}, {high:+.4f}]".format(
                **rows[-1]
            )
        )
    return rows


def milliseconds(fitted: Fitted) -> dict[str, float]:
    """CPU milliseconds of the scores of one list, one history at a time."""
    past = fitted.past
    plain = past.replaced(rankers={})
    histories = [past.histories.take([row]) for row in range(TIMED)]
    out = {}
    for name, shop in (("blend", plain), ("ranker", past)):
        for history in histories[:10]:
            shop.score_batch(history)
        start = time.process_time()
        for history in histories:
            shop.score_batch(history)
        out[name] = (time.process_time() - start) / TIMED * 1e3
    return out


if __name__ == "__main__":
    main()
