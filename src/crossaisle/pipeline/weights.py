"""Weights of a blend: one set per placement, chosen on validation for its own kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from crossaisle.config import Repeats
from crossaisle.data.history import Histories
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import cart_cases, carts_of_users, has_baskets
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.models.base import Scorer
from crossaisle.models.blend import CART_OF_USER, HISTORY_OF_USER
from crossaisle.models.defaults import (
    BESIDE,
    FIRST,
    KNOWLEDGE,
    LEAF,
    OF_HISTORY,
    OF_TEXTS,
    OF_USERS,
)
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.shortlists import TuningTask, answerable
from crossaisle.models.sides import AskedOf
from crossaisle.models.tuning import Tuned, drawn_cases, tune
from crossaisle.pipeline.cart_weights import followed, led

RARITY = 0.25
"""`goes_with` beside baskets: a hit is worth the item's events to minus this power; at 0 bananas win."""


FEW = 100
"""With fewer cases in new categories `discover` is asked for new ones of the finest level."""


@dataclass(frozen=True)
class Chosen:
    """What validation is in favour of."""

    weights: dict[str, dict[str, float]]
    """placement -> part -> weight."""
    split: Split
    """With the rule for items of the history that is better on validation: kept in the lists or left out.
    What is measured and what is served go by it."""
    open_list: Tuned
    """The weights of `for_you` under that rule, and the shortlists that they were chosen from."""
    parts: tuple[str, ...]
    """Whose scores the shortlists hold."""


def choose_weights(
    parts: Mapping[str, Scorer],
    split: Split,
    *,
    repeats: Repeats = "auto",
    seed: int = 0,
    progress: bool = False,
) -> Chosen:
    """Weights of each placement, tuned on the question it answers. `repeats`: other than "auto" where the
    split has the rule for items of the history already (`ruled`)."""
    lasting = {name: part for name, part in parts.items() if name not in BESIDE}
    tuned = tune(lasting, _questions(split, seed), split.train.taxonomy, seed=seed, progress=progress)
    split = _ruled(split, tuned) if repeats == "auto" else split
    left_out = tuned.pop("left_out", None)
    open_list = tuned["for_you"]
    if left_out and split.validation.mask_seen:
        tuned["for_you"] = left_out
        open_list = tuned.pop("unseen")
    if not tuned["for_you"].chosen:
        why = "no validation case has a history and a target that could be found"
        split = replace(split, chooses=False, notes=(*split.notes, f"weights are the defaults: {why}"))
    weights = {name: found.weights for name, found in tuned.items()}
    if split.validation.other_categories_only:
        weights["goes_with"] = weights["for_you"]
    else:
        weights |= _weights_of_carts(parts, lasting, split, seed=seed, progress=progress)
    weights["similar"] = {name: 1.0 for name in ("tfidf", "encoder", "picture") if name in parts}
    weights["buy_again"] = {"frequency": 1.0} if "frequency" in parts else weights["for_you"]
    weights["trending"] = {"popularity": 1.0} if "popularity" in parts else weights["for_you"]
    return Chosen(weights, split, open_list, tuple(lasting))


def ruled(split: Split, repeats: Repeats) -> Split:
    """The split with items of the history kept in the lists or left out, where that is set."""
    if repeats == "auto" or split.validation.other_categories_only:
        return split
    where = "kept in" if repeats == "keep" else "left out of"
    return split.masking(
        repeats == "leave_out",
        f"items of the history are {where} the lists, as [model] repeats = {repeats!r} says",
    )


def _questions(split: Split, seed: int) -> dict[str, TuningTask]:
    """Tasks about the histories of validation: where anything repeats, with their items and without."""
    cases = split.validation
    questions = {"discover": _of_new_categories(split, seed)}
    if cases.other_categories_only:  # `goes_with`
        return questions | {"for_you": TuningTask(cases, unseen=cases.mask_seen, other=True)}
    apart = (KNOWLEDGE,)
    if not split.repeated:
        return questions | {"for_you": TuningTask(cases, unseen=cases.mask_seen, apart=apart)}
    return questions | {
        "for_you": TuningTask(cases, apart=apart),
        "left_out": TuningTask(cases, unseen=True, all_targets=True, apart=apart),
        "unseen": TuningTask(cases, unseen=True, apart=apart),
    }


def _of_new_categories(split: Split, seed: int) -> TuningTask:
    """What `discover` is asked. In a shop of few departments hardly anybody enters a new one: weights that so
    few cases choose are noise, and what is new at the finest level is asked in its place.
    """
    cases, taxonomy = split.validation, split.train.taxonomy
    task = TuningTask(cases, unseen=True, new=True)
    finest = replace(task, finest=True)
    drawn = cases.take(drawn_cases(len(cases), seed))
    few = answerable(replace(task, cases=drawn), taxonomy)
    if few < FEW and answerable(replace(finest, cases=drawn), taxonomy) > few:
        return finest
    return task


def _ruled(split: Split, tuned: Mapping[str, Tuned]) -> Split:
    """The split with the rule for items of the history that validation is in favour of."""
    if split.validation.other_categories_only:
        return split
    if "left_out" not in tuned:
        if not len(split.validation):
            return split
        return split.masking(True, "nothing repeats: items of the history are left out of the lists")
    if not tuned["for_you"].chosen:
        return split
    kept, left_out = tuned["for_you"].quality, tuned["left_out"].quality
    mask_seen = not kept > left_out
    return split.masking(
        mask_seen,
        f"items of the history are {'left out of' if mask_seen else 'kept in'} the lists: mean of R@10 and "
        f"N@10 on validation is {kept:.4f} with them, {left_out:.4f} without",
    )


def _weights_of_carts(
    parts: Mapping[str, Scorer],
    lasting: Mapping[str, Scorer],
    split: Split,
    *,
    seed: int,
    progress: bool,
) -> dict[str, dict[str, float]]:
    """Weights of `goes_with`: for a cart alone and, where users have baskets, for a user with a cart.

    Without baskets the question is what comes next, from the newest item alone. In a basket whatever
    everybody buys goes with everything, so a hit on a cart alone counts by how rare it is.
    """
    taxonomy, events = split.train.taxonomy, split.past.events
    of_item = {name: part for name, part in parts.items() if name not in OF_HISTORY}
    later = (events.basket >= 0) & ~is_in(events.basket, split.train.events.basket)
    carts = cart_cases(split.past, later, seed=seed) if has_baskets(split.past) else None
    if carts is None or not len(carts):
        task = TuningTask(_last_item_only(split.validation), unseen=True, other=True)
        found = tune(of_item, {"goes_with": task}, taxonomy, seed=seed, progress=progress)
        return {"goes_with": found["goes_with"].weights}
    rarity = np.maximum(split.train.item_counts, 1).astype(np.float32) ** -RARITY
    alone = TuningTask(carts, unseen=True, new=True, worth=rarity)
    apart = (*OF_USERS, *OF_TEXTS, FIRST)
    of_cart = {name: part for name, part in of_item.items() if name not in apart}
    found = tune(of_cart, {"goes_with": alone}, taxonomy, seed=seed, progress=progress)
    weights = {"goes_with": found["goes_with"].weights}
    if isinstance(first := parts.get(FIRST), LeafLift):
        weights["goes_with"] = led(of_cart, weights["goes_with"], first, alone, taxonomy)
    mask_seen = split.validation.mask_seen
    of_users = carts_of_users(split.past, later, mask_seen=mask_seen, seed=seed)
    if len(of_users):
        weights |= _weights_of_users(
            parts, lasting, TuningTask(of_users, unseen=mask_seen, new=True), split, seed
        )
    return weights


def _weights_of_users(
    parts: Mapping[str, Scorer], lasting: Mapping[str, Scorer], task: TuningTask, split: Split, seed: int
) -> dict[str, dict[str, float]]:
    """Weights of parts that are asked of the cart, and of those that are asked of the user's history."""
    apart = (*OF_HISTORY, FIRST)
    cart = {n: AskedOf(p, "cart") for n, p in parts.items() if n in BESIDE and n not in apart}
    cart |= {n: AskedOf(p, "cart") for n, p in parts.items() if n == KNOWLEDGE}
    own = {n: AskedOf(p, "history") for n, p in lasting.items() if p.reads_events and n != KNOWLEDGE}
    own |= {n: AskedOf(p, "history") for n, p in parts.items() if n in OF_HISTORY}
    asked = {(CART_OF_USER, name): part for name, part in cart.items()}
    asked |= {(HISTORY_OF_USER, name): part for name, part in own.items()}
    names = {f"{side} {name}": (side, name) for side, name in asked}
    found = tune(
        {key: asked[where] for key, where in names.items()}, {"both": task}, split.train.taxonomy, seed=seed
    )
    weights: dict[str, dict[str, float]] = {CART_OF_USER: {}, HISTORY_OF_USER: {}}
    scorers = {key: asked[where] for key, where in names.items()}
    chosen = followed(scorers, found["both"].weights, f"{CART_OF_USER} {LEAF}", task, split.train.taxonomy)
    for key, weight in chosen.items():
        side, name = names[key]
        weights[side][name] = weight
    return weights


def _last_item_only(cases: EvalCases) -> EvalCases:
    """The same targets asked for with the newest item alone, as beside a product in view."""
    last = cases.histories.last_item
    carts = Histories.of([[i] if i >= 0 else [] for i in last.tolist()])
    return replace(cases, histories=carts)
