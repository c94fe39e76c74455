"""Compares `goes_with` on completejourney with and without a knowledge file drafted from training trips.

    python benchmarks/knowledge.py --out knowledge.json

The draft uses training trips only and is not edited. Weights are chosen on validation carts, with the part
and without it, for three sets of parts: all that a cart is asked; those that know no trips (popularity and
texts); popularity alone. The test is used once, with parts fitted on train and validation. "rare": a hit
counts one over the square root of the product's events. "lower half": only targets among the less bought half
of all events.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import MEASURED, cart_cases
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import KNOWLEDGE, OF_HISTORY, OF_USERS, default_parts
from crossaisle.models.shortlists import TuningTask, allowed_candidates
from crossaisle.models.topk import top_k
from crossaisle.models.tuning import tune
from crossaisle.pipeline.fit import fit_parts, refit, split_of
from crossaisle.pipeline.knowledge.draft import draft
from crossaisle.pipeline.weights import RARITY

NAME, K, SEED = "completejourney", 10, 0
SETS = {
    "all parts of a cart": None,
    "without trips": ("popularity", "tfidf", "encoder"),
    "popularity alone": ("popularity",),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    given = parser.parse_args()
    start = time.perf_counter()
    dataset = load_catalogue(NAME).dataset
    split = split_of(dataset, find_catalogue(NAME).split)
    drafted = draft(split.train)
    say(start, f"{len(drafted.rules)} rules, {drafted.held} of {drafted.pairs} pairs")
    asked = default_parts(split.past, knowledge=drafted.rules, seed=SEED)
    parts = {name: part for name, part in asked.items() if name not in (*OF_USERS, *OF_HISTORY)}
    fit_parts(parts, split.train)
    say(start, f"fitted {', '.join(parts)}")

    def later(known: Any) -> Any:
        return (dataset.events.basket >= 0) & ~is_in(dataset.events.basket, known.events.basket)

    past_rows = is_in(dataset.events.basket, split.past.events.basket)
    chosen_on = cart_cases(dataset, later(split.train) & past_rows, seed=SEED)
    tested_on = cart_cases(dataset, later(split.past), most=MEASURED, seed=SEED)
    worth = np.maximum(split.train.item_counts, 1).astype(np.float32) ** -RARITY
    task = TuningTask(chosen_on, unseen=True, new=True, worth=worth)
    weights: dict[str, dict[str, float]] = {}
    for title, names in SETS.items():
        without = {n: p for n, p in parts.items() if n != KNOWLEDGE and (names is None or n in names)}
        for label, some in (("without", without), ("with", {**without, KNOWLEDGE: parts[KNOWLEDGE]})):
            found = tune(some, {"carts": task}, split.train.taxonomy, seed=SEED)["carts"]
            weights[f"{title}, {label}"] = {n: round(w, 4) for n, w in found.weights.items() if w}
            say(start, f"{title}, {label}: {weights[f'{title}, {label}']}")
    weights["knowledge alone"] = {KNOWLEDGE: 1.0}
    out: dict[str, Any] = {"rules": len(drafted.rules), "pairs": drafted.pairs, "held": drafted.held}
    out |= {"weights": weights, "carts": {"validation": len(chosen_on), "test": len(tested_on)}}
    early = Blend(parts=parts, weights=weights)
    out["validation"] = measured(early, chosen_on, split.train)
    write(given.out, out)
    late, _ = refit(early, split.past)
    assert late.parts[KNOWLEDGE].settings() == parts[KNOWLEDGE].settings()
    say(start, "fitted on train and validation")
    out["test"] = measured(late, tested_on, split.past)
    write(given.out, out | {"seconds": round(time.perf_counter() - start)})


def measured(blend: Blend, cases: EvalCases, known: Any) -> dict[str, Any]:
    """R@10 of each set of weights with its interval, and the change due to the part."""
    counts = np.maximum(known.item_counts, 1).astype(np.float64)
    order = np.argsort(-counts, kind="stable")
    lower = np.zeros(len(counts), bool)
    lower[order[np.cumsum(counts[order]) > counts.sum() / 2]] = True
    slices = {"all": np.ones(len(counts)), "rare": counts**-0.5, "lower half": lower.astype(float)}
    lists = {name: recommended(blend, cases, name, known) for name in blend.weights}
    recall = {name: np.stack([recalls(rows, cases, w) for w in slices.values()], axis=1) for name, rows in
              lists.items()}  # fmt: skip
    draws = Bootstrap(n=len(cases), resamples=1000, seed=SEED)
    out: dict[str, Any] = {}
    for name, values in recall.items():
        found = draws.interval(values)
        out[name] = {s: rounded(found.of(at)) for at, s in enumerate(slices)}
    for title in SETS:
        gap, _ = draws.difference(recall[f"{title}, with"], recall[f"{title}, without"])
        out[f"{title}: difference"] = {s: rounded(gap.of(at)) for at, s in enumerate(slices)}
    return out


def recommended(blend: Blend, cases: EvalCases, name: str, known: Any) -> Any:
    """int32 (n, 10): the list of every cart, other categories only."""
    rows = []
    for start in range(0, len(cases), 256):
        batch = cases.take(np.arange(start, min(start + 256, len(cases))))
        task = TuningTask(batch, unseen=True, new=True)
        allowed = allowed_candidates(task, batch.histories, known.taxonomy.codes())
        scores = blend.score_rows(batch.histories, name)
        # Equal scores: the popular item first, as in lists.
        scores = scores + np.float32(1e-7) * (known.item_counts / known.item_counts.max()).astype(np.float32)
        rows.append(top_k(np.where(allowed & ~np.isnan(scores), scores, -np.inf), K))
    return np.concatenate(rows)


def recalls(rows: Any, cases: EvalCases, worth: Any) -> Floats:
    """float32 (n,): value of the hits over the most that ten places can hold; NaN where no target has any."""
    out = np.full(len(cases), np.nan, np.float32)
    for at, (start, end) in enumerate(zip(cases.target_indptr[:-1], cases.target_indptr[1:], strict=True)):
        targets = cases.target[start:end]
        best = np.sort(worth[targets])[::-1][:K].sum()
        if best > 0:
            out[at] = worth[np.intersect1d(targets, rows[at])].sum() / best
    return out


def rounded(found: tuple[float, float, float]) -> list[float]:
    return [round(v, 4) for v in found]


def write(path: Path, out: Any) -> None:
    path.write_text(json.dumps(out, indent=1) + "\n")


def say(start: float, text: str) -> None:
    print(f"{time.perf_counter() - start:6.0f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
