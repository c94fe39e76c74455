"""Measures what telling kinds of events apart gains, in a synthetic shop where kinds matter.

    python benchmarks/kinds.py [--users 1500] [--seed 0] [--out FILE]

In this shop carts predict purchases, looks do not, and a third of what is bought is returned. Compares the
prediction of the next purchases with kinds told apart and with all events alike, as a log without kinds is
read, and prints the weights that were chosen. Exits with 1 if the target is missed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate import metrics
from crossaisle.evaluate.metrics import Relevant
from crossaisle.models.topk import top_k
from crossaisle.pipeline.fit import Fitted, fit

NEEDS = 24
"""Needs of people; each is a category."""
EACH = 14
"""Items per need."""
START = 1_700_000_000
DAY = 86_400
VALIDATION, TEST = date(2024, 1, 29), date(2024, 2, 10)
"""Days 76 and 88 of 100."""
K = 10
RATIO = 1.1


def planted(users: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Items and events. A need lasts for two or three visits and its items are put into the cart one visit
    before they are bought; looks go anywhere; fads are bought by anybody and sent back days later.
    """
    rng = np.random.default_rng(seed)
    n = NEEDS * EACH
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(n)],
            "title": [f"article {i}" for i in range(n)],
            "categories": [f"need {i // EACH}" for i in range(n)],
        }
    )
    popular = rng.dirichlet(np.full(n, 0.3))
    fads = rng.choice(n, 12, replace=False)
    rows: list[tuple[str, str, int, str]] = []

    def of(need: int) -> int:
        return need * EACH + int(EACH * rng.random() ** 2)

    for user in range(users):
        moment = START + int(rng.integers(0, 10 * DAY))
        need, left = int(rng.integers(NEEDS)), 2
        for _ in range(int(rng.integers(6, 16))):
            following = need if left > 0 else int(rng.integers(NEEDS))
            for item in rng.choice(n, 6, p=popular):
                rows.append((f"u{user}", f"i{item}", moment + int(rng.integers(0, 600)), "view"))
            for _ in range(2):
                rows.append((f"u{user}", f"i{of(following)}", moment + 900, "add-to-cart"))
            rows.append((f"u{user}", f"i{of(need)}", moment + 1200, "purchase"))
            if rng.random() < 0.35:
                fad = f"i{rng.choice(fads)}"
                rows.append((f"u{user}", fad, moment + 1200, "purchase"))
                rows.append((f"u{user}", fad, moment + 3 * DAY, "return"))
            left = left - 1 if following == need else 1 + int(rng.integers(2))
            need = following
            moment += int(rng.integers(4 * DAY, 10 * DAY))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    return items, events.filter(pl.col("time") < START + 100 * DAY)


def fitted_on(dataset: Dataset) -> Fitted:
    """Fitted without text encoders: the planted titles say nothing."""
    split = SplitConfig(validation=VALIDATION, test=TEST)
    return fit(dataset, split_config=split, model_config=ModelConfig(encoder="none", pictures="none"))


def quality(fitted: Fitted, cases: EvalCases) -> np.ndarray:
    """NDCG@10 of each case, its history as this model knows it."""
    histories = fitted.split.past.histories(cases.histories.user).relative
    histories = replace(histories, now=cases.histories.now)
    scores = np.nan_to_num(fitted.past.score_batch(histories), nan=-np.inf)
    if fitted.split.test.mask_seen:
        scores[histories.owner, histories.item] = -np.inf
    relevant = Relevant.listed(top_k(scores, K), cases.target_indptr, cases.target)
    return np.asarray(metrics.ndcg(relevant, K))


def interval(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval."""
    draws = np.random.default_rng(seed).integers(0, len(values), (1000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def compare(users: int, seed: int) -> dict[str, Any]:
    """The figures, ready for JSON."""
    items, events = planted(users, seed)
    told = fitted_on(import_frames(items, events, name="kinds").dataset)
    every = {name: {"means": "purchase", "weight": 1.0} for name in ("view", "add-to-cart", "return")}
    alike = fitted_on(import_frames(items, events, name="alike", kinds=every).dataset)
    positives = {
        name: {"means": role, "weight": 1.0} for name, role in (("view", "view"), ("add-to-cart", "cart"))
    }
    level = fitted_on(import_frames(items, events, name="level", kinds=positives).dataset)
    cases = told.split.test
    cases = cases.take(np.flatnonzero(cases.histories.lengths > 0))
    figures = {
        name: interval(quality(one, cases), seed)
        for name, one in (("kinds", told), ("returns left out, rest alike", level), ("all alike", alike))
    }
    weights = {name: told.past.dataset.meanings.meaning(name).weight for name in told.past.dataset.kinds}
    kinds, same = figures["kinds"], figures["all alike"]
    return {
        "cases": len(cases),
        "weights": {name: round(float(w), 3) for name, w in weights.items()},
        "ndcg@10": {name: [round(v, 4) for v in row] for name, row in figures.items()},
        "ratio": round(kinds[0] / same[0], 3),
        "apart": kinds[1] > same[2],
        "in_order": weights["purchase"] >= weights["add-to-cart"] > weights["view"],
        "notes": [note for note in told.split.notes if "kinds" in note or "targets" in note],
    }


def main() -> None:
    """Prints the figures; ends with 1 where the bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1500, help="users of the shop (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    found = compare(options.users, options.seed)
    text = json.dumps(found, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")
    raise SystemExit(not (found["ratio"] >= RATIO and found["apart"] and found["in_order"]))


if __name__ == "__main__":
    main()
