"""Measures a fitted shop against its baselines, every slice by the placement that serves it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Literal

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import MEASURED, cart_cases, carts_of_users
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.leakage import check_leaks
from crossaisle.evaluate.results import Count, Evaluation, Row, evaluate
from crossaisle.evaluate.scoring import Score
from crossaisle.execution.executor import Executor
from crossaisle.models.blend import CART_OF_USER, HISTORY_OF_USER
from crossaisle.models.defaults import BESIDE, KNOWLEDGE, OF_HISTORY
from crossaisle.pipeline.fit import Costs, Fitted
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.request import has_habits

MODEL, BLEND = "crossaisle", "blend"
"""What is served; and the same without learned rankers, where there are some."""
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
    sums: Mapping[str, Mapping[str, float]] | None = None,
    others: Mapping[str, Score] | None = None,
    ks: Sequence[int] = (5, 10, 20),
    resamples: int = 1000,
    seed: int = 0,
    max_cases: int | None = None,
    count: Count = "items",
    executor: Executor | None = None,
    progress: bool = False,
) -> Evaluation:
    """Evaluates the shop as it is served, the blend without its rankers, and every part of it alone.

    Rankers are grown on validation, so `on="validation"` measures the blend without them. `sums` are
    further models, given as fixed weights of parts; `others` are models that are not of this package;
    `max_cases` takes a seeded sample. `count`: items or groups, as `evaluate`. `executor`: where cases are
    scored. `DataError` where the split leaks (`data.splits.leakage`).
    """
    check_leaks(fitted.split)
    split = fitted.split if max_cases is None else _sampled(fitted.split, max_cases, seed)
    recommender = fitted.past
    if on == "validation":
        recommender = recommender.replaced(dataset=split.train, blend=fitted.validation_blend, rankers={})
    recommender = _remembering(recommender, sums)
    blend = recommender.blend
    carts = split.test.other_categories_only
    scorers: dict[str, Score] = {
        name: partial(blend.part_scores, name) for name in blend.parts if carts or name not in BESIDE
    }
    scorers |= others or {}
    total = dict(fitted.costs)
    for name, weights in (sums or {}).items():
        scorers[name] = partial(blend.score_rows, placement=name)
        total[name] = _together(total, weights)
    open_list = "goes_with" if carts else "for_you"
    scorers[MODEL] = partial(recommender.ruled_batch, placement=open_list)
    for placement in SERVED_BY:
        # Carts have no slices of their own: their open list is `goes_with` already.
        if placement in blend.weights and not carts:
            scorers[f"{MODEL}:{placement}"] = partial(recommender.ruled_batch, placement=placement)
    if recommender.rankers:
        plain = recommender.replaced(rankers={})
        for name in [name for name in scorers if name.split(":")[0] == MODEL]:
            placement = name.partition(":")[2] or open_list
            scorers[name.replace(MODEL, BLEND)] = partial(plain.ruled_batch, placement=placement)
    used = {name for chosen in fitted.past.blend.weights.values() for name in chosen}
    total |= {name: _together(total, used) for name in scorers if name.split(":")[0] in (MODEL, BLEND)}
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
            count=count,
            executor=executor,
            progress=progress,
        )
    )


def measure_carts(fitted: Fitted, dataset: Dataset, *, resamples: int = 1000, seed: int = 0) -> list[Row]:
    """`goes_with` on baskets of the test: one to three items in view, the basket's rest is right.

    Slice `goes_with`: carts alone. `goes_with_user`: the same carts of users with a past, of which
    `goes_with_user_repeat` and `goes_with_user_new` are what the user had before and had not; the model
    `cart_alone` is the list for the cart alone. Empty where no basket of `dataset` is later than the past.
    """
    alone = evaluate_carts(fitted, dataset, resamples=resamples, seed=seed)
    known = evaluate_carts(fitted, dataset, of_users=True, resamples=resamples, seed=seed)
    rows = [row | {"slice": "goes_with"} for row in (alone.rows if alone else []) if row["slice"] == "all"]
    if known is None:
        return rows
    names = {"all": "goes_with_user", "repeat": "goes_with_user_repeat", "new_item": "goes_with_user_new"}
    # Where the user's own products are kept in, a request without them is answered for the cart alone.
    found = [r for r in known.rows if (r["model"], r["slice"]) != (MODEL, "new_item")]
    found += [r | {"model": MODEL} for r in found if (r["model"], r["slice"]) == ("cart_alone", "new_item")]
    return rows + [row | {"slice": names[row["slice"]]} for row in found if row["slice"] in names]


def evaluate_carts(
    fitted: Fitted, dataset: Dataset, *, of_users: bool = False, resamples: int = 1000, seed: int = 0
) -> Evaluation | None:
    """`goes_with` of carts alone, or of users with carts; None where there are none to be measured."""
    if dataset.roles is not None:  # as they are served
        dataset = dataset.meaning(fitted.past.dataset.meanings)
    events, mask_seen = dataset.events, fitted.split.test.mask_seen
    later = (events.basket >= 0) & ~is_in(events.basket, fitted.split.past.events.basket)
    if of_users:
        carts = carts_of_users(dataset, later, mask_seen=mask_seen, most=MEASURED, seed=seed)
    else:
        carts = cart_cases(dataset, later, most=MEASURED, seed=seed)
    if not len(carts) or (of_users and CART_OF_USER not in fitted.past.blend.weights):
        return None
    asked = replace(fitted, split=replace(fitted.split, protocol="carts", test=carts))
    if of_users:
        return _evaluate_users(asked, resamples=resamples, seed=seed)
    return measure(asked, resamples=resamples, seed=seed)


def _evaluate_users(fitted: Fitted, *, resamples: int, seed: int) -> Evaluation:
    """Users with a cart; single parts are asked of what they know, the cart or the history."""
    recommender = _remembering(fitted.past)
    blend = recommender.blend
    of_cart = {*BESIDE, KNOWLEDGE} - set(OF_HISTORY)
    scorers: dict[str, Score] = {
        name: partial(blend.part_scores, name, side="cart" if name in of_cart else "history")
        for name, part in blend.parts.items()
        if part.reads_events
    }
    scorers["cart_alone"] = lambda asked: recommender.ruled_batch(asked.carts, "goes_with")

    def served(asked: Histories) -> Floats:
        scores = recommender.ruled_batch(asked, CART_OF_USER)
        few = np.flatnonzero(~has_habits(asked.own, recommender.dataset))
        if len(few):  # these are served the list of the cart alone
            scores[few] = recommender.ruled_batch(asked.carts.take(few), "goes_with")
        return scores

    scorers[MODEL] = served
    used = {*blend.weights[CART_OF_USER], *blend.weights[HISTORY_OF_USER]}
    costs = {**fitted.costs, MODEL: _together(fitted.costs, used)}
    return evaluate(scorers, fitted.split, recommender.dataset, costs=costs, resamples=resamples, seed=seed)


def _remembering(
    recommender: Recommender, sums: Mapping[str, Mapping[str, float]] | None = None
) -> Recommender:
    """The same with scores of the last batch kept, and with further sums of parts."""
    weights = {**recommender.blend.weights, **{name: dict(w) for name, w in (sums or {}).items()}}
    blend = replace(recommender.blend, remember=True, weights=weights)
    return recommender.replaced(blend=blend)


def _sampled(split: Split, most: int, seed: int) -> Split:
    def some(cases: EvalCases) -> EvalCases:
        order = np.random.default_rng(seed).permutation(len(cases))[:most]
        return cases.take(np.sort(order))

    notes = [
        f"measured on {most:,} of {len(cases):,} cases of {name}, drawn at random"
        for name, cases in (("validation", split.validation), ("test", split.test))
        if len(cases) > most
    ]
    taken = replace(split, validation=some(split.validation), test=some(split.test))
    return replace(taken, notes=(*split.notes, *notes))


def _together(costs: Costs, names: Iterable[str]) -> dict[str, float]:
    """What fitting several models one after the other costs."""
    known = [costs[name] for name in names if name in costs]
    seconds = math.fsum(cost["fit_seconds"] for cost in known)  # the same whatever the order
    return {"fit_seconds": seconds, "peak_mb": max((cost["peak_mb"] for cost in known), default=0.0)}


def _as_served(evaluation: Evaluation) -> Evaluation:
    """Puts the slices of each placement under the one model that a shop sees, and its blend."""
    values, rows = dict(evaluation.values), list(evaluation.rows)
    for model, (weights, names) in product((MODEL, BLEND), SERVED_BY.items()):
        alias = f"{model}:{weights}"
        if alias not in values:
            continue
        columns = [i for i, (slice_, _, _) in enumerate(evaluation.columns) if slice_ in names]
        values[model] = values[model].copy()
        values[model][:, columns] = values[alias][:, columns]
        rows = [r for r in rows if not (r["model"] == model and r["slice"] in names)]
        rows = [{**r, "model": model} if r["model"] == alias and r["slice"] in names else r for r in rows]
    kept = tuple(m for m in evaluation.models if ":" not in m)
    return replace(
        evaluation,
        models=kept,
        values={m: values[m] for m in kept},
        rows=[r for r in rows if r["model"] in kept],
        lists={m: evaluation.lists[m] for m in kept},
    )
