"""A fitted shop against its baselines, every slice answered by the placement that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from crossaisle.data.query import Placement
from crossaisle.evaluate.results import Evaluation, evaluate
from crossaisle.evaluate.scoring import Score
from crossaisle.fitting import Costs, Fitted
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.recommend import Recommender

MODEL = "crossaisle"
SERVED_BY: dict[str, tuple[str, ...]] = {
    "discover": ("novel_limited", "new_category", "novel_leaf_limited"),
    "unseen": ("new_item",),
}
"""Weights that serve a slice other than the open list's: `discover` offers categories new to the user,
`unseen` is `for_you` with `exclude_seen` in a shop where people buy again."""


def measure(
    fitted: Fitted,
    *,
    on: Literal["validation", "test"] = "test",
    baselines: Mapping[str, Score] | None = None,
    ks: Sequence[int] = (5, 10, 20),
    resamples: int = 1000,
    seed: int = 0,
    costs: Costs | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluates the blend as it is served, and every part of it alone."""
    split = fitted.split
    recommender = fitted.past
    if on == "validation":
        early = fitted.validation_blend
        recommender = Recommender(split.train, early, repeats=fitted.past.repeats)
    parts = recommender.blend.parts
    scorers: dict[str, Score] = {name: _alone(part) for name, part in parts.items()}
    scorers |= dict(baselines or {})
    open_list: Placement = "goes_with" if split.test.other_categories_only else "for_you"
    scorers[MODEL] = lambda h: recommender.score_batch(h, open_list)
    for weights in SERVED_BY:
        if weights in recommender.blend.weights:
            scorers[f"{MODEL}:{weights}"] = _weighted(recommender, weights)
    total = dict(costs or fitted.costs)
    total[MODEL] = {
        "fit_seconds": sum(c["fit_seconds"] for c in total.values()),
        "peak_mb": max((c["peak_mb"] for c in total.values()), default=0.0),
    }
    return _as_served(
        evaluate(
            scorers,
            split,
            recommender.dataset,
            on=on,
            ks=ks,
            knn="item_knn" if "item_knn" in scorers else None,
            costs=total,
            resamples=resamples,
            seed=seed,
            progress=progress,
        )
    )


def _alone(part: Scorer) -> Score:
    return part.score_rows


def _weighted(recommender: Recommender, weights: str) -> Score:
    blend = Blend(parts=recommender.blend.parts, weights={"for_you": recommender.blend.weights[weights]})
    served = Recommender(recommender.dataset, blend, repeats=recommender.repeats)
    return lambda histories: served.score_batch(histories)


def _as_served(evaluation: Evaluation) -> Evaluation:
    """Puts the slices of each placement under the one model that a shop sees."""
    values, rows = dict(evaluation.values), list(evaluation.rows)
    for weights, names in SERVED_BY.items():
        alias = f"{MODEL}:{weights}"
        if alias not in values:
            continue
        columns = [i for i, (slice_, _, _) in enumerate(evaluation.columns) if slice_ in names]
        values[MODEL] = values[MODEL].copy()
        values[MODEL][:, columns] = values[alias][:, columns]
        rows = [r for r in rows if not (r["model"] == MODEL and r["slice"] in names)]
        rows = [{**r, "model": MODEL} if r["model"] == alias and r["slice"] in names else r for r in rows]
    kept = tuple(m for m in evaluation.models if ":" not in m)
    return replace(
        evaluation,
        models=kept,
        values={m: values[m] for m in kept},
        rows=[r for r in rows if r["model"] in kept],
        lists={m: evaluation.lists[m] for m in kept},
    )
